"""What a payload consists of: the names of its fields and their types (pure, bounded)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from akto_mirror.ingestion import frames
from akto_mirror.path_templates import fold

MAX_NODES = 2_000
MAX_DEPTH = 12
MAX_ITEMS = 20
MAX_NAME_CHARS = 160
MAX_EVENTS = 20
MAX_PAIRS = 200
MAX_TAGS = 500
# Of a body that was cut at its limit, this many characters are mended and read.
MAX_CUT_CHARS = 8_192

TYPES = ("null", "boolean", "integer", "number", "string", "object", "array", "bytes", "file", "message")
BITS = {name: 1 << position for position, name in enumerate(TYPES)}

Found = dict[str, int]

SCALARS: dict[type, int] = {
    type(None): BITS["null"],
    bool: BITS["boolean"],
    int: BITS["integer"],
    float: BITS["number"],
    str: BITS["string"],
}
INTEGER = re.compile(r"[+-]?\d{1,19}")
NUMBER = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d{1,3})?")
# A string that is not closed goes to the end, so that no part of it is looked at twice.
TOKENS = re.compile(r'"(?>(?:[^"\\]|\\.)*)(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
PART_NAME = re.compile(
    r'content-disposition:[^\r\n]{0,200}?[; ]name="([^"\r\n]{0,200})"([^\r\n]{0,300})', re.IGNORECASE
)
ATTRIBUTE = re.compile(r"""(?<![\w:.-])([\w:.-]+)\s*=\s*("[^"]*"|'[^']*')""")


class Payload(NamedTuple):
    """A payload as it was read.

    Attributes:
        form: How it was read: `json`, `form`, `xml`, `events`, `multipart`, `grpc`, `text` or, if empty, ``.
        fields: Bits of `BITS` by field name, in order of appearance.
        messages: The JSON values in it: one, or several in an event stream or in lines.
        frames: What is known of gRPC messages.
    """

    form: str
    fields: Found
    messages: tuple[Any, ...] = ()
    frames: frames.Frames | None = None


def type_names(bits: int) -> list[str]:
    """Return the names that the bits stand for."""
    return [name for name, bit in BITS.items() if bits & bit]


def read_payload(text: str, content_type: str) -> Payload:
    """Read a payload by its content type, and where that says nothing by its first character.

    Nothing is raised: what cannot be read is `text` without fields.

    Args:
        text: The payload as the entry holds it.
        content_type: The value of the content type's header, in any case.
    """
    if not text:
        return Payload("", {})
    kind = content_type.lower()
    if is_grpc(content_type):
        return _grpc(text)
    if "event-stream" in kind:
        return _json_lines("events", _event_data(text))
    if "x-www-form-urlencoded" in kind:
        return Payload("form", pair_fields(parse_pairs(text)))
    if kind.startswith("multipart/"):
        return Payload("multipart", _parts(text))
    return _by_first_character(text, kind)


def is_grpc(content_type: str) -> bool:
    """Tell a media type of gRPC frames, those of `grpc-web-text`, which come as base64, included."""
    return content_type.lstrip().lower().startswith("application/grpc")


def _by_first_character(text: str, kind: str) -> Payload:
    first = text.lstrip()[:1]
    if "json" in kind or first in ("{", "["):
        return _json(text)
    if first == "<" and "html" not in kind:
        return Payload("xml", read_xml(text))
    return Payload("text", {})


def _json(text: str) -> Payload:
    try:
        value = _decode(text)
    except ValueError:
        return _broken_json(text)
    return Payload("json", read_json([value]), (value,))


def _broken_json(text: str) -> Payload:
    """Read JSON that was cut at the body's limit, or one value a line."""
    head, _, rest = text.partition("\n")
    if rest and _is_json(head):
        return _json_lines("json", islice(text.split("\n", MAX_EVENTS + 1), MAX_EVENTS))
    mended = mend(text[:MAX_CUT_CHARS])
    if mended and _is_json(mended):
        return _json_lines("json", [mended])
    return Payload("text", {})


def _json_lines(form: str, lines: Iterable[str]) -> Payload:
    values = tuple(_decode(line) for line in lines if _is_json(line))
    return Payload(form, read_json(values), values)


def _decode(text: str) -> Any:
    """Decode JSON.

    Raises:
        ValueError: If it is none, or nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except msgspec.DecodeError as error:  # A ValueError only in newer releases.
        raise ValueError(str(error)) from error


def _is_json(text: str) -> bool:
    try:
        _decode(text)
    except ValueError:
        return False
    return True


def mend(text: str) -> str:
    """Return JSON text that was cut off, ended behind its last whole member or element; empty if there is none."""
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


def read_json(values: Iterable[Any]) -> Found:
    """Return the paths of JSON values, such as `items[].name`, and the types seen there.

    Keys that look like ids are folded, so that a map of records is one record.
    """
    walk = _Walk()
    for value in values:
        walk.enter(value, "", 0)
    return walk.found


class _Walk:
    """Goes through JSON values until `MAX_NODES` have been seen."""

    def __init__(self) -> None:
        self.found: Found = {}
        self.left = MAX_NODES

    def enter(self, value: Any, path: str, depth: int) -> None:
        bit = SCALARS.get(type(value))
        if bit or not value or depth >= MAX_DEPTH or len(path) > MAX_NAME_CHARS:
            self.found[path] = self.found.get(path, 0) | (bit or BITS["array" if isinstance(value, list) else "object"])
        elif isinstance(value, list):
            self._list(value, path + "[]", depth + 1)
        else:
            self._object(value, path + "." if path else "", depth + 1)

    def _object(self, value: dict[str, Any], prefix: str, depth: int) -> None:
        found = self.found
        for key, item in islice(value.items(), self._take(len(value))):
            name = prefix + (key if key.isalpha() and len(key) < 16 else fold(key))
            if bit := SCALARS.get(type(item)):
                found[name] = found.get(name, 0) | bit
            else:
                self.enter(item, name, depth)

    def _list(self, items: list[Any], name: str, depth: int) -> None:
        for item in islice(items, self._take(min(len(items), MAX_ITEMS))):
            self.enter(item, name, depth)

    def _take(self, wanted: int) -> int:
        """Return how many of the values wanted may be looked at."""
        taken = min(wanted, self.left)
        self.left -= taken
        return taken


def text_type(text: str) -> int:
    """Return the bit of the type that a value without a type of its own looks like."""
    if INTEGER.fullmatch(text):
        return BITS["integer"]
    if text in ("true", "false"):
        return BITS["boolean"]
    return BITS["number"] if len(text) < 40 and NUMBER.fullmatch(text) else BITS["string"]


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """Return the first names and values of a query string or a form, decoded."""
    parts = text[: MAX_PAIRS * 400].split("&", MAX_PAIRS)[:MAX_PAIRS]
    if "%" in text or "+" in text:
        return parse_qsl("&".join(parts), keep_blank_values=True)
    return [(name, value) for name, _, value in (part.partition("=") for part in parts) if name or value]


def pair_fields(pairs: Iterable[tuple[str, str]]) -> Found:
    """Return the names in a query string or a form, and the types that their values look like."""
    found: Found = {}
    for name, value in pairs:
        short = name[:MAX_NAME_CHARS]
        found[short] = found.get(short, 0) | text_type(value)
    return found


def read_xml(text: str) -> Found:
    """Return the paths of XML elements and attributes, such as `order/item@id`.

    Only tags are looked at: no entity is expanded, and text that is cut off does no harm.
    """
    found: Found = {}
    path: list[str] = []
    content = 0
    for start, end in islice(_tags(text), MAX_TAGS):
        tag = text[start + 1 : end]
        if tag[:1] == "/":
            _leave(found, path, text[content:start])
        else:
            _enter(found, path, tag)
        content = end + 1
    return found


def _leave(found: Found, path: list[str], content: str) -> None:
    """Note the type of an element's text, which is only that of one without children."""
    name = "/".join(path)[:MAX_NAME_CHARS]
    if path and content.strip():
        found[name] = found.get(name, 0) | text_type(content.strip()[:40])
    if path:
        path.pop()


def _enter(found: Found, path: list[str], tag: str) -> None:
    words = tag.rstrip("/").split(None, 1)
    if not words or tag[0].isspace():
        return
    path.append(words[0][:MAX_NAME_CHARS])
    name = "/".join(path)[:MAX_NAME_CHARS]
    found.setdefault(name, 0)
    attributes = ATTRIBUTE.finditer(words[1][:2_000]) if len(words) > 1 else iter(())
    for attribute in islice(attributes, 20):
        if not attribute[1].startswith("xmlns"):
            label = f"{name}@{attribute[1]}"[:MAX_NAME_CHARS]
            found[label] = found.get(label, 0) | text_type(attribute[2][1:-1])
    if tag.endswith("/") or len(path) > MAX_DEPTH * 2:
        path.pop()


def _tags(text: str) -> Iterator[tuple[int, int]]:
    """Find `<…>`, leaving out comments, CDATA, declarations and instructions; ends at the first that is not closed."""
    position = text.find("<")
    while position >= 0:
        closing = next((last for first, last in OTHERS if text.startswith(first, position)), ">")
        end = text.find(closing, position)
        if end < 0:
            return
        if text[position + 1 : position + 2] not in ("!", "?"):
            yield position, end
        position = text.find("<", end + len(closing))


OTHERS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))


def _event_data(text: str) -> Iterator[str]:
    """Return the data of an event stream's events (WHATWG HTML, 9.2.6); those of one line are enough here."""
    lines = (line for line in text[: MAX_CUT_CHARS * 8].splitlines() if line.startswith("data:"))
    return (line[5:].strip() for line in islice(lines, MAX_EVENTS))


def _parts(text: str) -> Found:
    found: Found = {}
    for part in islice(PART_NAME.finditer(text), MAX_PAIRS):
        found[part[1][:MAX_NAME_CHARS]] = BITS["file" if "filename" in part[2].lower() else "string"]
    return found


def _grpc(text: str) -> Payload:
    read = frames.read(text)
    return Payload("grpc", dict(read.fields) if read else {}, frames=read)
