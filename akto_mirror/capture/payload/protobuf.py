"""Protocol buffers without a schema: shortens messages so that they can still be parsed, and rewrites their strings.

Encoding: https://protobuf.dev/programming-guides/encoding/. It does not distinguish text, messages and bytes in
length-delimited fields, so that they are judged by their content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from akto_mirror.capture.payload.charsets import whole_characters
from akto_mirror.capture.payload.leaves import ROOT, Place

# The most levels of nested messages that are read.
MAX_DEPTH = 10

# The most fields that are read to judge whether bytes are a message; this many are not valid by chance.
PROBE_FIELDS = 64

# The most fields of one message that are rewritten one by one.
MAX_FIELDS = 100_000

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LINE_CONTROL = re.compile(rb"[\t\n\r]")

# The shortest text that is looked for in bytes: a name, a separator and a value. Few hashes and UUIDs have it.
PRINTABLE = re.compile(rb"[ -~]{5}")
RUN = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{5,}")

# Text may be valid as fields by chance, but not as `FEW_FIELDS` or more with more than `FEW_BYTES` different bytes.
FEW_BYTES = 4
FEW_FIELDS = 4

# Longer than a tag and a length together.
LONGEST_HEAD = 16

# Bytes of packed numbers that are searched for a position to cut.
MANY = 512

# Bytes of a field that are read to judge it, even if fewer can be kept; with fewer than `LEAST_BYTES` it is not judged.
PROBE_BYTES = 256
LEAST_BYTES = 4

# The highest plausible field number in bytes that may also be packed numbers: its tag has two bytes.
LIKELY_NUMBER = 2_047


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: the field's number.
        kind: its wire type.
        start: where its tag begins.
        value: where its value begins, after the length if it has one.
        end: one past its last byte, which may lie behind the end of data that was cut.
    """

    number: int
    kind: int
    start: int
    value: int
    end: int


def fields(data: bytes, position: int = 0) -> Iterator[Field]:
    """Yield the fields from a position, including a truncated one at the end; stops at bytes that are not a field."""
    size = len(data)
    while position < size:
        start = position
        tag, position = _varint(data, position)
        kind, number = tag & 7, tag >> 3
        if position < 0 or not 0 < number < 1 << 29:
            return
        value = position
        if kind == VARINT:
            position = _varint(data, position)[1]
            position = size + 1 if position < 0 else position
        elif kind == LENGTH:
            length, value = _varint(data, position)
            if value < 0:
                return
            position = value + length
        elif kind in (FIXED64, FIXED32):
            position += 8 if kind == FIXED64 else 4
        else:
            return
        yield Field(number, kind, start, value, position)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a varint and where it ends; -1 if it is cut or too long."""
    value = 0
    for shift, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, position + shift + 1
    return 0, -1


def _tags(kind: int) -> bytes:
    """Return the one-byte tags of a wire type, as a character class."""
    return b"[" + b"".join(b"\\x%02x" % (number << 3 | kind) for number in range(1, 16)) + b"]"


# Consecutive numeric fields with one-byte tags, which decide the alternative.
NUMBERS = re.compile(
    rb"(?:%b[\x80-\xff]{0,9}[\x00-\x7f]|%b.{8}|%b.{4})+" % (_tags(VARINT), _tags(FIXED64), _tags(FIXED32)), re.DOTALL
)


def varint(value: int) -> bytes:
    """Encode a number as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def shorten(message: bytes, room: int, depth: int = 0) -> bytes:
    """Return the fields of a message that fit, in order; the first that does not is shortened if possible.

    Args:
        message: a message, which may be truncated.
        room: bytes that the result may have.
        depth: the number of messages around it.
    """
    bound = min(room, len(message))
    kept = _whole_fields(message, bound)
    for field in fields(message, kept):
        if field.end <= bound:
            kept = field.end
            continue
        rest = _shortened(message, field, room - field.start, depth) if field.kind == LENGTH else b""
        return message[: field.start] + rest
    return message[:kept]


def _whole_fields(data: bytes, bound: int) -> int:
    """Return where the short strings and numbers at the beginning end, within the bound; faster than `fields`."""
    position = 0
    while position + 1 < bound:
        tag = data[position]
        if tag & 7 == LENGTH and 8 <= tag < 0x80 and data[position + 1] < 0x80:
            end = position + 2 + data[position + 1]
        else:
            numbers = NUMBERS.match(data, position, bound)
            end = numbers.end() if numbers else bound + 1
        if end > bound:
            break
        position = end
    return position


def _shortened(message: bytes, field: Field, room: int, depth: int) -> bytes:
    """Return a length-delimited field with as much content as fits, its length rewritten; empty if none does."""
    tag = message[field.start : _varint(message, field.start)[1]]
    space = min(_content_room(room - len(tag)), len(message) - field.value)
    # To judge the content, hardly more is read than can be kept.
    content = message[field.value : min(field.end, field.value + max(space, PROBE_BYTES))]
    if space <= 0 or len(content) < LEAST_BYTES:
        return b""
    kept = _cut(content, space, depth, field.end - field.value)
    return tag + varint(len(kept)) + kept


def _content_room(room: int) -> int:
    """Return the most bytes that fit into the room together with their length."""
    for size in range(1, 6):
        if room - size < 1 << 7 * size:
            return room - size
    return room - 6


def _cut(content: bytes, space: int, depth: int, size: int) -> bytes:
    if is_text(content, size):
        return content[: whole_characters(content, space)]
    if depth < MAX_DEPTH and is_message(content, size):
        return shorten(content, space, depth + 1)
    if b"\x00" not in content and _is_utf8(content, size):
        return content[: whole_characters(content, space)]
    return content[: _packed_cut(content, space)]


def _packed_cut(content: bytes, space: int) -> int:
    """Return where to cut packed numbers of unknown type: after a multiple of 8 bytes at which a varint ends.

    Many varints have such a position; if there is none, these are numbers of 4 or 8 bytes.
    """
    for end in range(space & ~7, max(space - MANY, 0), -8):
        if content[end - 1] < 0x80:
            return end
    return space & ~7 if space > MANY else 0


class _Probe(NamedTuple):
    """A summary of the first fields of bytes that may be a message."""

    fields: int
    kinds: frozenset[int]
    end: int


def _probe(content: bytes, size: int) -> _Probe | None:
    """Read bytes as the beginning of a message of `size` bytes; None if they are not one."""
    kinds, end = list[int](), 0
    for field in fields(content):
        if field.number > LIKELY_NUMBER or field.end > size:
            return None
        end = field.end
        kinds.append(field.kind)
        if len(kinds) == PROBE_FIELDS or end > len(content):
            break
    else:
        if end != len(content) and (size == len(content) or len(content) - end >= LONGEST_HEAD):
            return None
    return _Probe(len(kinds), frozenset(kinds), end) if kinds else None


def is_message(content: bytes, size: int = 0) -> bool:
    """Return whether bytes are a message, judged by the first fields.

    Args:
        content: the bytes.
        size: how many there were before they were cut; 0 if they were not cut.
    """
    return _probe(content, max(size, len(content))) is not None


def is_text(content: bytes, size: int = 0) -> bool:
    """Return whether the first of `size` bytes are a string rather than a message; for `size`, see `is_message`."""
    if CONTROL.search(content) or not _is_utf8(content, size):
        return False
    if LINE_CONTROL.search(content):
        return not is_message(content, size)
    return not _is_all_strings(content, max(size, len(content)))


def _is_utf8(content: bytes, size: int) -> bool:
    try:
        content[: whole_characters(content, len(content)) if size > len(content) else len(content)].decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_all_strings(content: bytes, size: int) -> bool:
    """Return whether text is a message of strings whose tags and lengths happen to be printable."""
    probe = _probe(content, size)
    if probe is None or probe.kinds != {LENGTH}:
        return False
    variety = len(set(content[:PROBE_BYTES]))
    return (probe.end == size and variety > 2) or (probe.fields >= FEW_FIELDS and variety > FEW_BYTES)


Rewrite = Callable[[Place, bytes], bytes]


def rewrite(message: bytes, change: Rewrite) -> bytes:
    """Return a message with its strings rewritten, also in nested messages, and the lengths adjusted.

    What is not a message, such as JSON, or only begins like one, is rewritten as a string; so is text in other bytes.

    Args:
        message: the message.
        change: takes the place of a string, whose names are field numbers, and the string; returns the new string.
    """
    return change(ROOT, message) if is_text(message) else _fields_rewritten(message, change, ROOT, 0)


def _fields_rewritten(message: bytes, change: Rewrite, place: Place, depth: int) -> bytes:
    out, done, end = list[bytes](), 0, 0
    for field, _ in zip(fields(message), range(MAX_FIELDS), strict=False):
        end = field.end
        if field.kind != LENGTH or end > len(message):
            continue
        content = message[field.value : end]
        new = _rewritten(content, change, Place(str(field.number), place), depth)
        if new != content:
            tag = message[field.start : _varint(message, field.start)[1]]
            out += (message[done : field.start], tag, varint(len(new)), new)
            done = end
    new = b"".join((*out, message[done:])) if out else message
    return new if end == len(message) else _text_rewritten(new, change, place)


def _rewritten(content: bytes, change: Rewrite, place: Place, depth: int) -> bytes:
    if is_text(content):
        return change(place, content)
    if depth < MAX_DEPTH and is_message(content):
        return _fields_rewritten(content, change, place, depth + 1)
    return _text_rewritten(content, change, place)


def _text_rewritten(content: bytes, change: Rewrite, place: Place) -> bytes:
    """Rewrite the text in bytes that are neither a string nor a message; what is between it stays as it is."""
    if not PRINTABLE.search(content):
        return content
    if _is_utf8(content, len(content)):
        return change(place, content)
    return RUN.sub(lambda run: change(place, run[0]) if PRINTABLE.search(run[0]) else run[0], content)
