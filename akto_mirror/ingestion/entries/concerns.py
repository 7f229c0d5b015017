"""Finds entries that Akto would drop, fail to parse, or put into an unexpected collection (pure).

The rules are those of Akto's runtime, the consumer behind the ingestion service: which entries it filters out, how it
parses payloads and how it names API collections. Another function of the same type may be used in addition, for
example one that looks for other problems: see `Concerns`.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from akto_mirror.akto_api import is_number
from akto_mirror.ingestion.entries import frames
from akto_mirror.ingestion.entries.fields import TOO_DEEP, decode_json, is_grpc, is_lenient_json
from akto_mirror.ingestion.entries.reading import read_headers

DROPPED = "dropped by Akto"
UNREAD = "not parsed"
MISREAD = "misread by Akto"
NO_HOST = "no host name"
SPECIAL_HOST = "special host"

# The concerns because of which an entry, or the parameters of one side, are lost.
LOSSES = frozenset({DROPPED, UNREAD})

# The runtime's list of extensions of static files, which it looks for at the end of the path and of the query.
STATIC = re.compile(
    r"\.(?:html?|css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|woff2?|ttf|otf|eot|mp4|webm)(?=\?|\Z)", re.IGNORECASE
)
SPECIAL = frozenset("<>%/?#[]@!$&'()*+,;=")
# Levels that exceed its parser's stack.
DEEP = 2_000
DIGITS = re.compile(r"\d{19}")
# JSON strings, which are skipped, punctuation and long whole numbers. An unclosed string ends at the end of the text.
TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]|(-?\d{19,})(?![\d.eE])', re.DOTALL)
BARE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
# JSON in a call of a function: `cb({"a":1})`.
CALL = re.compile(
    r"(?:/\*[^*/]*\*/\s*)?(?:typeof [\w$.]{1,200} ?===? ?[\"']function[\"'] ?&& ?)?[\w$.]{1,200}\(\s*[{\[]"
)
ENDS = {"{": "}", "[": "]"}
SIDES = ("request", "response")
# The endings of complete payloads, by type.
CLOSED = {"multipart": "--", "xml": ">"}
# The sources that the runtime knows.
SOURCES = frozenset({"HAR", "PCAP", "MIRRORING", "SDK", "OTHER", "POSTMAN"})
GZIP = b"\x1f\x8b"


class Concern(NamedTuple):
    """A problem of an entry that the user should know.

    Attributes:
        kind: A short label, the same for all of its kind, for a mark in a list.
        sentence: The problem and its consequence; it may quote hostile data.
    """

    kind: str
    sentence: str

    @property
    def reason(self) -> str:
        """The problem, without its consequence."""
        return self.sentence.removeprefix("Its ").partition(": ")[0]


# A function that looks at an entry; it must not raise, whatever the entry holds.
Concerns = Callable[[Mapping[str, Any]], list[Concern]]


def concerns(entry: Mapping[str, Any]) -> list[Concern]:
    """Return what prevents Akto's runtime from using the whole entry."""
    headers = read_headers(entry.get("requestHeaders"))
    answered = read_headers(entry.get("responseHeaders"))
    return [
        *_dropped(entry, headers),
        *_fails(entry),
        *_misread(entry),
        *_collection(entry, headers),
        *_unread_query(_text(entry, "path")),
        *_unread("request", _text(entry, "requestPayload"), headers.get("content-type", "")),
        *_unread("response", _text(entry, "responsePayload"), answered.get("content-type", "")),
    ]


def _dropped(entry: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[Concern]:
    path, status = _text(entry, "path"), _text(entry, "statusCode")
    if "/health" in path.lower():
        yield Concern(DROPPED, "Its path or query contains /health: Akto drops such entries.")
    elif STATIC.search(path):
        yield Concern(DROPPED, "Its path ends like that of a static file: Akto drops such entries.")
    if len(status) == 3 and status.startswith("3") and status != "302":
        yield Concern(DROPPED, f"Its status is {status}: of the 3xx, Akto accepts only 302.")
    if len(status) == 3 and status.startswith("1") and not _is_websocket(entry):
        yield Concern(DROPPED, f"Its status is {status} without the type WebSocket: Akto drops such entries.")
    if "x-akto-ignore" in headers:
        yield Concern(DROPPED, "Its request has the header x-akto-ignore: Akto drops such entries.")
    payload, media = _text(entry, "requestPayload"), headers.get("content-type", "")
    if media in ("", "application/json") and _breaks_off(payload):
        yield Concern(DROPPED, "Its request JSON does not end as it began: Akto drops the whole entry.")


def _fails(entry: Mapping[str, Any]) -> Iterator[Concern]:
    """Yield problems that make Akto's runtime throw: the service has returned 200, and the entry is lost."""
    account, status = _text(entry, "akto_account_id"), _text(entry, "statusCode")
    for wrong, what in (
        (not is_number(account), "akto_account_id is not a whole number of at most 32 bits"),
        (not (status.isascii() and status.isdigit()), "statusCode is not a whole number"),
        (_text(entry, "source") not in SOURCES, "source is unknown"),
        (not _is_tag(entry.get("tag")), "tag is not a JSON object of strings"),
        (not all(_are_headers(entry.get(f"{side}Headers")) for side in SIDES), "headers are not a JSON object"),
        (any(_is_deep(_text(entry, f"{side}Payload")) for side in SIDES), "payload is nested too deeply"),
        ("path" not in entry, "path is missing"),
    ):
        if wrong:
            yield Concern(DROPPED, f"Its {what}: Akto's runtime fails on the entry.")


def _is_tag(text: object) -> bool:
    """Return whether the runtime can read a tag: it has to be missing, or an object of strings."""
    if text in (None, ""):
        return True
    value = _json(text)
    return isinstance(value, dict) and all(isinstance(each, str | None) for each in value.values())


def _are_headers(text: object) -> bool:
    """Return whether the runtime can read headers: they have to be missing, or an object without null."""
    if text in (None, ""):
        return True
    value = _json(text)
    return isinstance(value, dict) and None not in value.values()


def _json(text: object) -> Any:
    try:
        return decode_json(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _is_deep(payload: str) -> bool:
    return payload[:1] in ENDS and payload.count("[") + payload.count("{") >= DEEP and _depth(payload) >= DEEP


def _misread(entry: Mapping[str, Any]) -> Iterator[Concern]:
    time = _text(entry, "time")
    if not (time.isascii() and time.isdigit()):
        yield Concern(MISREAD, "Its time is not in whole seconds: Akto takes the time at which it reads the entry.")
    if _is_websocket(entry) and _text(entry, "statusCode") != "101":
        yield Concern(MISREAD, "Its WebSocket upgrade was refused, which Akto lists as one that was accepted.")


def _is_websocket(entry: Mapping[str, Any]) -> bool:
    return _text(entry, "type").upper() == "WEBSOCKET"


def _collection(entry: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[Concern]:
    host = headers.get("host", "").strip()
    number = _text(entry, "akto_vxlan_id") or "0"
    if host.lower() == host.upper():
        named = f"The host {host} has no letter" if host else "It has no host"
        yield Concern(NO_HOST, f"{named}: Akto files it under the collection {number[:20]}.")
    elif SPECIAL & set(host):
        yield Concern(SPECIAL_HOST, "Its host contains a special character: Akto files it under special_char_host.")


def _unread_query(path: str) -> Iterator[Concern]:
    query = path.partition("?")[2]
    why = "a second ?" if "?" in query else "a % that escapes nothing" if BARE_PERCENT.search(query) else ""
    if why:
        yield Concern(UNREAD, f"Its query contains {why}: Akto lists none of its parameters.")


def _unread(side: str, payload: str, media: str) -> Iterator[Concern]:
    if not payload:
        return
    why = _why_unread(side, payload, media)
    if why:
        yield Concern(UNREAD, f"Its {side} {why}: Akto lists none of its parameters.")


def _why_unread(side: str, payload: str, media: str) -> str:
    """Return why a payload is not read; an entry that is dropped for that reason is not reported again."""
    kind, first = media.lower(), payload.lstrip()[:1]
    if is_grpc(media):
        return _why_grpc_is_unread(payload, as_json="+json" in kind)
    if payload.startswith(")]}'"):
        return "begins with an XSSI prefix"
    if first in ENDS:
        return _why_json_is_unread(side, payload, media)
    if side == "response" and CALL.match(payload) and not _is_read_call(payload):
        return "is JSON in a call that Akto does not read"
    return _why_format_is_unread(payload, kind)


def _why_format_is_unread(payload: str, kind: str) -> str:
    if payload.lstrip().startswith("<") and "<!DOCTYPE" in payload[:2_000] and "html" not in kind:
        return "is XML with a DOCTYPE"
    if "x-www-form-urlencoded" in kind and BARE_PERCENT.search(payload):
        return "is a form with a % that escapes nothing"
    last = payload.rstrip()
    breaks_off = next((name for name, end in CLOSED.items() if name in kind and not last.endswith(end)), "")
    return f"is {breaks_off} that breaks off" if breaks_off else "is an event stream" if "event-stream" in kind else ""


def _why_grpc_is_unread(payload: str, *, as_json: bool) -> str:
    if as_json:
        return "" if payload.lstrip()[:1] in ENDS else "is not plain JSON"
    read = frames.read(payload)
    if read is None:
        return "is not base64 of gRPC messages"
    if read.cut:
        return "is a gRPC message that breaks off"
    # Sixteen characters are twelve bytes: the prefix of five bytes, and the beginning of the message.
    if read.compressed and a2b_base64(payload[:16])[5:7] == GZIP:
        return "is a compressed gRPC message"
    return "is more than one gRPC message" if read.messages > 1 else ""


def _why_json_is_unread(side: str, payload: str, media: str) -> str:
    if _breaks_off(payload):
        dropped = side == "request" and media in ("", "application/json")
        return "" if dropped else "JSON does not end as it began"
    if "json" in media.lower() and "json" not in media:
        return "has a content type in upper case"
    if DIGITS.search(payload) and any(map(_is_big, TOKENS.finditer(payload))):
        return "holds a whole number of more than 64 bits"
    try:
        decode_json(payload)
    except ValueError as error:
        # This parser gives up earlier than Akto's.
        return "" if str(error) == TOO_DEEP or is_lenient_json(payload) else "is not valid JSON"
    return ""


def _is_read_call(payload: str) -> bool:
    """Return whether the runtime extracts the object from a call (JSONP): from the first parenthesis to the last."""
    text = payload[payload.index("(") + 1 : payload.rfind(")")]
    return text.startswith("{") and (is_lenient_json(text) or not _breaks_off(text))


def _is_big(token: re.Match[str]) -> bool:
    # More digits are too many in any case, and take longer to parse.
    digits = token[1]
    return digits is not None and (len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 63)


def _breaks_off(payload: str) -> bool:
    text = payload.strip()
    return text[:1] in ENDS and text[-1:] != ENDS[text[0]]


def _depth(payload: str) -> int:
    depth = deepest = 0
    for token in TOKENS.finditer(payload):
        depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
        deepest = max(deepest, depth)
    return deepest


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""
