"""Parses payloads by content type: JSON, forms, XML, event streams, multipart and gRPC (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from akto_mirror.ingestion.entries import frames
from akto_mirror.ingestion.entries.shapes import BITS, MAX_DEPTH, MAX_NAME_CHARS, Text, Typed
from akto_mirror.ingestion.entries.xml import read_xml

MAX_EVENTS = 20
TOO_DEEP = "nested too deeply"
MAX_PAIRS = 200
# Of a truncated body, this many characters are closed and parsed.
MAX_CUT_CHARS = 8_192

# An unclosed string ends at the end of the text, so that no part is read twice.
TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
PART_NAME = re.compile(
    r'content-disposition:[^\r\n]{0,200}?[; ]name="([^"\r\n]{0,200})"([^\r\n]{0,300})', re.IGNORECASE
)

# Strings in either quotes, and commas before a closing bracket. An unclosed string ends at the end of the text.
LENIENT = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|\'([^\'\\]*(?:\\.[^\'\\]*)*)(?:\'|\\?\Z)|,(?=\s*[\]}])', re.DOTALL
)

# JSON text sequences (RFC 7464) begin each value with the record separator.
BEFORE = " \t\r\n\x1e"

_lenient = json.JSONDecoder(strict=False)


class Payload(NamedTuple):
    """A parsed payload.

    Attributes:
        form: How it was read: `json`, `form`, `xml`, `events`, `multipart`, `grpc`, `text` or, if empty, ``.
        values: The values in it: one, or several in an event stream or in lines; none if it is not parsed.
        frames: The data about gRPC messages.
        cut: Whether it is truncated JSON.
    """

    form: str
    values: tuple[Any, ...] = ()
    frames: frames.Frames | None = None
    cut: bool = False

    @property
    def messages(self) -> tuple[Any, ...]:
        """The JSON values in it."""
        return self.values if self.form in ("json", "events") else ()


def read_payload(text: str, content_type: str) -> Payload:
    """Parse a payload by its content type or, if that is not specific, by its first character.

    Nothing is raised: a payload that cannot be parsed is `text` without values.

    Args:
        text: The payload as the entry holds it.
        content_type: The value of the content type's header, in any case.
    """
    if not text:
        return Payload("")
    kind = content_type.lower()
    if is_grpc(content_type):
        return _grpc(text)
    if "event-stream" in kind:
        return _json_lines("events", _event_data(text))
    if "x-www-form-urlencoded" in kind:
        return Payload("form", (by_name(parse_pairs(text)),))
    if kind.startswith("multipart/"):
        return Payload("multipart", (_parts(text),))
    return _by_first_character(text, kind)


def is_grpc(content_type: str) -> bool:
    """Return whether a media type is one of gRPC frames, including `grpc-web-text`, which is base64."""
    return content_type.lstrip().lower().startswith("application/grpc")


def _by_first_character(text: str, kind: str) -> Payload:
    first = text.lstrip()[:1]
    if "json" in kind or first in ("{", "["):
        return _json(text)
    if first == "<" and "html" not in kind:
        return Payload("xml", (read_xml(text),))
    return Payload("text")


def _json(text: str) -> Payload:
    try:
        return Payload("json", (decode_json(text),))
    except ValueError:
        return _broken_json(text)


def _broken_json(text: str) -> Payload:
    """Parse truncated JSON, or one JSON value per line."""
    head, _, rest = text.partition("\n")
    if rest and _is_json(head):
        return _json_lines("json", islice(text.split("\n", MAX_EVENTS + 1), MAX_EVENTS))
    closed = close(text[:MAX_CUT_CHARS])
    if closed and _is_json(closed):
        return _json_lines("json", [closed])._replace(cut=True)
    return Payload("text")


def _json_lines(form: str, lines: Iterable[str]) -> Payload:
    return Payload(form, tuple(decode_json(line) for line in lines if _is_json(line)))


def decode_json(text: str | bytes) -> Any:
    """Decode JSON.

    Raises:
        ValueError: If it is invalid, or nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    except msgspec.DecodeError as error:  # It is a ValueError only in newer releases.
        raise ValueError(str(error)) from error


def _is_json(text: str) -> bool:
    try:
        decode_json(text)
    except ValueError:
        return False
    return True


def is_lenient_json(text: str) -> bool:
    """Return whether Akto's runtime reads JSON that strict parsers refuse.

    It reads the first of several values, and accepts NaN, control characters and lone surrogates in strings, single
    quotes, and a trailing comma.
    """
    text = text.lstrip(BEFORE)
    return _begins_with_json(text) or _begins_with_json(LENIENT.sub(_strict, text))


def _begins_with_json(text: str) -> bool:
    try:
        _lenient.raw_decode(text)
    except ValueError:
        return False
    except RecursionError:
        pass  # Where this reader gives up, Akto's does not yet.
    return True


def _strict(found: re.Match[str]) -> str:
    if found[0].startswith('"'):
        return found[0]
    return "" if found[1] is None else json.dumps(found[1])


def close(text: str) -> str:
    """Return truncated JSON, closed after its last complete member or element; empty if there is none."""
    stack: list[str] = []
    best, closing = 0, ""
    for token in TOKENS.finditer(text):
        mark = token[0]
        if mark in "[{":
            stack.append("]" if mark == "[" else "}")
            best, closing = token.end(), "".join(reversed(stack[-MAX_DEPTH * 4 :]))
        elif mark in "]}":
            if not stack:
                return ""
            stack.pop()
        elif mark == ",":
            best, closing = token.start(), "".join(reversed(stack[-MAX_DEPTH * 4 :]))
    return text[:best] + closing if closing else ""


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """Return the first names and values of a query string or a form, decoded."""
    parts = text[: MAX_PAIRS * 400].split("&", MAX_PAIRS)[:MAX_PAIRS]
    if "%" in text or "+" in text:
        return parse_qsl("&".join(parts), keep_blank_values=True)
    return [(name, value) for name, _, value in (part.partition("=") for part in parts) if name or value]


def by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values of a query string or a form by their names; a list for a repeated name."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        short, text = name[:MAX_NAME_CHARS], Text(value)
        known = found.get(short)
        if known is None:
            found[short] = text
        elif isinstance(known, list):
            known.append(text)
        else:
            found[short] = [known, text]
    return found


def _event_data(text: str) -> Iterator[str]:
    """Return the data of an event stream's events (WHATWG HTML, 9.2.6); those of one line are enough here."""
    lines = (line for line in text[: MAX_CUT_CHARS * 8].splitlines() if line.startswith("data:"))
    return (line[5:].strip() for line in islice(lines, MAX_EVENTS))


def _parts(text: str) -> dict[str, Typed]:
    parts = islice(PART_NAME.finditer(text), MAX_PAIRS)
    return {
        part[1][:MAX_NAME_CHARS]: Typed(BITS["file" if "filename" in part[2].lower() else "string"]) for part in parts
    }


def _grpc(text: str) -> Payload:
    read = frames.read(text)
    if read is None:
        return Payload("grpc")
    return Payload("grpc", ({number: Typed(bits) for number, bits in read.fields},), frames=read)
