"""The request and the response in an entry: their headers and payloads, in either fidelity."""

from __future__ import annotations

from typing import NamedTuple

from akto_mirror.capture import body
from akto_mirror.capture.body import EMPTY, Body
from akto_mirror.capture.headers import HeaderMap
from akto_mirror.capture.payload.codings import decoded, prefix_bound
from akto_mirror.capture.payload.events import NO_ID
from akto_mirror.capture.payload.media import essence, is_grpc
from akto_mirror.capture.payload.render import Rendered, Source, render

# The fetch standard's null body statuses: workerd gives such a response no body, even if one was sent.
BODILESS = frozenset({101, 103, 204, 205, 304})

# The headers that name the coding of compressed messages: gRPC's, and that of Connect's streams.
MESSAGE_CODINGS = ("grpc-encoding", "connect-content-encoding")

# Content types of JSON in UTF-8, in lower case and without spaces.
PLAIN_TYPES = frozenset({"application/json", "application/json;charset=utf-8"})


class Side(NamedTuple):
    """A request or a response as it is in an entry.

    Attributes:
        headers: the result of `headers.header_map`; the content type is that of the payload.
        payload: the body as text.
    """

    headers: HeaderMap
    payload: Rendered


def worker(wire: Body, headers: HeaderMap, limit: int, status: int | None = None) -> Side:
    """Return a side as the Worker ships it.

    Args:
        wire: the body.
        headers: the side's headers.
        limit: bytes of the decoded body to keep.
        status: the response's; None for a request, whose content coding the Worker never decodes.
    """
    coding = "" if status is None else headers.get("content-encoding", "")
    kept = EMPTY if status in BODILESS else wire
    return Side(headers, Rendered(body.worker_payload(kept, coding, limit), headers.get("content-type", "")))


def akto(wire: Body, headers: HeaderMap, limit: int, asked: bytes = NO_ID) -> Side:
    """Return a side as Akto's runtime can use it best.

    Args:
        wire: the body.
        headers: the side's headers.
        limit: bytes of the payload to keep, in UTF-8.
        asked: for a response, the id of the JSON-RPC request, as `events.request_id` returns it.
    """
    content_type = headers.get("content-type", "")
    data, whole = _undone(wire, headers, limit)
    # A body labelled as compressed may be plain frames, which are not text.
    if not data and wire.prefix and is_grpc(essence(content_type)):
        data = wire.prefix
    coding = headers.get(MESSAGE_CODINGS[0]) or headers.get(MESSAGE_CODINGS[1], "")
    payload = render(Source(data, content_type, not whole, coding, asked), limit)
    if payload.content_type != content_type:
        headers = headers | {"content-type": payload.content_type}
    return Side(headers, payload)


def plain(wire: Body, headers: HeaderMap, limit: int) -> bytes | None:
    """Return a body that `akto` would not change if it is valid JSON in UTF-8 and not nested too deeply; else None.

    Args:
        wire: the body.
        headers: the side's headers.
        limit: bytes of the payload to keep.
    """
    data = wire.prefix
    if not wire.complete or len(data) > limit or "content-encoding" in headers:
        return None
    if not data:
        return data
    content_type = headers.get("content-type", "")
    is_plain = content_type in PLAIN_TYPES or content_type.lower().replace(" ", "") in PLAIN_TYPES
    return data if is_plain and data.startswith((b"{", b"[")) else None


def _undone(wire: Body, headers: HeaderMap, limit: int) -> Body:
    """Decode the content codings, of which there are usually none."""
    if "content-encoding" not in headers:
        return wire
    found = decoded(wire.prefix, headers["content-encoding"], prefix_bound(limit))
    return Body(found.data, wire.complete and found.ended)


def without_payload(headers: HeaderMap) -> Side:
    """Return a side of a WebSocket's handshake, without payload."""
    return Side(headers, Rendered("", headers.get("content-type", "")))
