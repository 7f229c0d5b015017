"""Media types: determines the format of a payload, and the content type to report."""

from __future__ import annotations

import re
from functools import lru_cache

from akto_mirror.outcomes import Format

# RFC 9110, section 5.6.6: a quoted value may contain semicolons. An unterminated one extends to the end of the text.
PARAMETER = re.compile(r';[ \t]*([^=;"]*)(=?)("[^"\\]*(?:\\.[^"\\]*)*"?|[^;]*)', re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
BLANK = b" \t\r\n"

# The most parameters that are read; genuine headers have a few.
MOST_PARAMETERS = 500

# Content types of up to this many characters are cached, which bounds the memory that untrusted clients can fill.
SHORT = 100

# Events in binary frames, as Amazon's language model services stream them.
AMAZON_EVENTS = "application/vnd.amazon.eventstream"

# RFC 2046, section 5.1.1: a boundary has at most 70 characters.
MAX_BOUNDARY = 70


def essence(content_type: str) -> str:
    """Return a content type in lower case and without its parameters."""
    return _known_essence(content_type) if len(content_type) <= SHORT else _essence(content_type)


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


_known_essence = lru_cache(maxsize=1024)(_essence)


def parameter(content_type: str, name: str) -> str:
    """Return a parameter's value without its quotes, in its original case; empty if there is none.

    After `MOST_PARAMETERS`, the whole rest is returned, so that redaction by a parameter hides more rather than less.
    """
    _, mark, rest = content_type.partition(";")
    if not mark:
        return ""
    for number, found in enumerate(PARAMETER.finditer(mark + rest)):
        if number == MOST_PARAMETERS:
            return found.string[found.start() :]
        if found[1].strip().lower() == name:
            return _unquoted(found[3].strip())
    return ""


def _unquoted(value: str) -> str:
    return ESCAPED.sub(r"\1", value[1:].removesuffix('"')) if value.startswith('"') else value


def reported(content_type: str) -> str:
    """Return a content type as Akto's runtime compares it: in lower case, except for values of parameters.

    The values of `boundary`, `action`, `start` and others are case-sensitive; only that of `charset` is not.
    """
    if content_type == content_type.lower():
        return content_type
    head, mark, rest = content_type.partition(";")
    return head.lower() + PARAMETER.sub(_lowered, mark + rest)


def _lowered(found: re.Match[str]) -> str:
    name, whole = found[1].lower(), found[0]
    if name.strip() == "charset":
        return whole.lower()
    return whole[: found.start(1) - found.start()] + name + whole[found.end(1) - found.start() :]


def format_of(content_type: str, data: bytes) -> Format:
    """Return the format of a payload: by its type if that frames it, else by its first character, as Akto does.

    Args:
        content_type: the header's value, in any case; empty if absent.
        data: the payload's bytes.
    """
    kind = essence(content_type)
    if framed := _known_framed(kind) if len(kind) <= SHORT else _framed(kind):
        return framed
    first = data[:64].lstrip(BLANK)[:1]
    if kind == "application/x-www-form-urlencoded" or "x-www-form-urlencoded" in kind:
        # `curl -d` and many scripts send JSON under this type, because it is the default.
        return Format.JSON if first == b"{" else Format.FORM
    if first == b"<":
        return Format.TEXT if kind == "text/html" else Format.XML
    return Format.JSON if first in (b"{", b"[") or "json" in kind or "javascript" in kind else Format.TEXT


def _framed(kind: str) -> Format | None:
    if is_grpc(kind):
        return Format.GRPC
    if "event-stream" in kind or kind == AMAZON_EVENTS:
        return Format.EVENTS
    return Format.MULTIPART if kind.startswith("multipart/") else None


_known_framed = lru_cache(maxsize=1024)(_framed)


def is_grpc(kind: str) -> bool:
    """Return whether a type is one of length-prefixed messages: gRPC, gRPC-web, and Connect's streams of JSON."""
    return kind.startswith("application/grpc") or kind == "application/connect+json"


def is_base64(kind: str) -> bool:
    """Return whether entries hold payloads of a type in base64: gRPC, except for JSON."""
    return is_grpc(kind) and not kind.endswith("+json")


def boundary(content_type: str, data: bytes) -> bytes:
    """Return the boundary of a multipart body, from its type or else its first line; empty if there is none."""
    named = parameter(content_type, "boundary").encode("utf-8", "replace")
    if not named and data.startswith(b"--"):
        named = data[2 : MAX_BOUNDARY + 4].partition(b"\n")[0].rstrip()
    return named if len(named) <= MAX_BOUNDARY else b""
