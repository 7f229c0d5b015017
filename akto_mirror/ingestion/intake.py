"""Decides, as Akto's data-ingestion service does, which batches and entries are accepted (pure).

The limits and status codes are those of the service's JSON interceptor and of its loop over a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

MAX_BODY_CHARS = 10_485_760
MAX_STRING_CHARS = 5_242_880
MAX_ARRAY_ITEMS = 10_000
# The service counts UTF-16 units, none of which has more than three bytes in UTF-8: a longer body is always too long.
MAX_BODY_BYTES = 3 * MAX_BODY_CHARS

MANDATORY = ("path", "method", "time")
SOURCES = frozenset({"MIRRORING"})
FIELDS = frozenset(
    """path method requestHeaders responseHeaders requestPayload responsePayload ip destIp time statusCode type status
    akto_account_id akto_vxlan_id is_pending source direction process_id socket_id daemonset_id enabled_graph tag
    """.split()  # noqa: SIM905 - as a list of literals it takes a line a name
)


class Refusal(Exception):  # noqa: N818 - an answer of the service, not an error of this program
    """The service refuses a batch or an entry.

    Attributes:
        status: The HTTP status code of the response.
        reason: What is wrong, in one line; it may quote hostile data.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def read_batch(body: bytes, content_type: str) -> list[Any]:
    """Read a request body up to the list under `batchData`.

    Bytes that are not UTF-8 are refused; the real service replaces them.

    Raises:
        Refusal: 500 if the body is not a JSON object or beyond a limit, 422 if it has no `batchData`.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(422, f"content type {content_type or '(none)'} is not application/json: no batchData is read")
    if _too_long(body):
        raise Refusal(500, f"the body is longer than {MAX_BODY_CHARS:,} characters")
    message = _parse(body)
    _check_limits(message, strings=len(body) > MAX_STRING_CHARS)
    batch = message.get("batchData")
    if batch is None:
        raise Refusal(422, "there is no batchData")
    if not isinstance(batch, list):
        raise Refusal(500, "batchData is not an array")
    return batch


def read_entry(item: object) -> dict[str, Any]:
    """Check one element of a batch; unknown fields are kept as they are.

    Raises:
        Refusal: 422, as for any exception in the service's loop over a batch.
    """
    if not isinstance(item, dict):
        raise Refusal(422, "an entry is not an object")
    for name in FIELDS & item.keys():
        if not isinstance(item[name], str | None):
            raise Refusal(422, f"{name} is not a string")
    for name in MANDATORY:
        if not item.get(name):
            raise Refusal(422, f"{name} is missing")
    if item.get("source") not in SOURCES | {None}:
        raise Refusal(422, f"source {item['source']} is unknown")
    return item


def _parse(body: bytes) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(500, f"the body is not JSON ({error})") from error
    if not isinstance(message, dict):
        raise Refusal(500, "the body is not a JSON object")
    return message


def _too_long(body: bytes) -> bool:
    return len(body) > MAX_BODY_BYTES or (
        len(body) > MAX_BODY_CHARS and _utf16_units(body.decode("utf-8", "replace")) > MAX_BODY_CHARS
    )


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _check_limits(message: object, *, strings: bool) -> None:
    for value in _walk(message):
        if isinstance(value, list) and len(value) > MAX_ARRAY_ITEMS:
            raise Refusal(500, f"an array has more than {MAX_ARRAY_ITEMS:,} elements")
        if strings and isinstance(value, str) and _utf16_units(value) > MAX_STRING_CHARS:
            raise Refusal(500, f"a string is longer than {MAX_STRING_CHARS:,} characters")


def _walk(root: object) -> Iterator[object]:
    pending = [root]
    while pending:
        value = pending.pop()
        yield value
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
