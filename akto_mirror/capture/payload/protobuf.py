"""Protocol buffers without a schema: shortens messages so that they can still be parsed, and rewrites their strings.

Encoding: https://protobuf.dev/programming-guides/encoding/. Whether a length-delimited field holds text, a message or
plain bytes is not written anywhere and has to be judged by its content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from akto_mirror.capture.payload.charsets import whole_characters
from akto_mirror.capture.payload.leaves import ROOT, Place

# Levels of messages in messages that are looked into.
MAX_DEPTH = 10

# Fields by which it is judged whether bytes are a message: enough for chance to play no part.
PROBE_FIELDS = 64

# Fields of one message that are rewritten; behind them all stays as it is.
MAX_FIELDS = 100_000

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LINE_CONTROL = re.compile(rb"[\t\n\r]")

# A text of few different bytes, such as one repeated, may read as fields by chance; another does not, at this number.
FEW_BYTES = 4
FEW_FIELDS = 4

# More than a tag and a length have together.
LONGEST_HEAD = 16

# Bytes of packed numbers that are searched for a place to cut.
MANY = 512

# Bytes of a field that are looked at, however few can be kept; and too few to judge by.
PROBE_BYTES = 256
LEAST_BYTES = 4

# The highest number of a field that is believed of bytes which may be packed numbers: tags of two bytes.
LIKELY_NUMBER = 2_047


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: the field's number.
        kind: its wire type.
        start: where its tag begins.
        value: where its value begins, behind the length if it has one.
        end: one behind its last byte, which may lie behind the end of data that was cut.
    """

    number: int
    kind: int
    start: int
    value: int
    end: int


def fields(data: bytes, position: int = 0) -> Iterator[Field]:
    """Give the fields of a message from a position up to the end, the first that is cut, or what is no field."""
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
    """Return the tags of one byte that a wire type has, as a class of bytes."""
    return b"[" + b"".join(b"\\x%02x" % (number << 3 | kind) for number in range(1, 16)) + b"]"


# Numbers that follow one another, each with a tag of one byte. The beginning of each alternative distinguishes them.
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
    """Return the fields of a message that fit, in order; the one in which the end falls is shortened if it can be.

    Args:
        message: a message, perhaps cut.
        room: bytes that the result may have.
        depth: levels of messages above it.
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
    """Return where the fields that end within the bound end, passing over short strings and numbers at speed.

    The general way goes on from there.
    """
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
    # Little more is looked at than can be kept.
    content = message[field.value : min(field.end, field.value + max(space, PROBE_BYTES))]
    if space <= 0 or len(content) < LEAST_BYTES:
        return b""
    kept = _cut(content, space, depth, field.end - field.value)
    return tag + varint(len(kept)) + kept


def _content_room(room: int) -> int:
    """Return the most bytes that fit into a room together with their length."""
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
    """Return where bytes can be cut so that packed numbers of any type stay whole: behind 8 bytes and a varint.

    Among many varints there is such a place, so that without one they are numbers of 4 or 8 bytes.
    """
    for end in range(space & ~7, max(space - MANY, 0), -8):
        if content[end - 1] < 0x80:
            return end
    return space & ~7 if space > MANY else 0


class _Probe(NamedTuple):
    """What the first fields of bytes come to that may be a message."""

    fields: int
    kinds: frozenset[int]
    end: int


def _probe(content: bytes, size: int) -> _Probe | None:
    """Read bytes as the beginning of a message of `size` bytes; None if they are none."""
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
    """Return whether bytes read as a message, by their first fields.

    Args:
        content: the bytes.
        size: how many there were before they were cut; 0 if they were not.
    """
    return _probe(content, max(size, len(content))) is not None


def is_text(content: bytes, size: int = 0) -> bool:
    """Return whether bytes, cut from `size` or not, are a string rather than a message."""
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
    """Tell a message of strings whose tags and lengths are all printable by chance."""
    probe = _probe(content, size)
    if probe is None or probe.kinds != {LENGTH}:
        return False
    variety = len(set(content[:PROBE_BYTES]))
    return (probe.end == size and variety > 2) or (probe.fields >= FEW_FIELDS and variety > FEW_BYTES)


Rewrite = Callable[[Place, bytes], bytes]


def rewrite(message: bytes, change: Rewrite, place: Place = ROOT, depth: int = 0) -> bytes:
    """Return a message with its strings rewritten, in messages in it too; lengths are rewritten, all else stays.

    Args:
        message: the message.
        change: is given the numbers of the fields that a string stands in and the string, and returns what to write.
        place: where the message stands.
        depth: levels of messages above it.
    """
    out, done = list[bytes](), 0
    for field, _ in zip(fields(message), range(MAX_FIELDS), strict=False):
        if field.kind != LENGTH or field.end > len(message):
            continue
        content = message[field.value : field.end]
        new = _rewritten(content, change, Place(str(field.number), place), depth)
        if new != content:
            tag = message[field.start : _varint(message, field.start)[1]]
            out += (message[done : field.start], tag, varint(len(new)), new)
            done = field.end
    return b"".join((*out, message[done:])) if out else message


def _rewritten(content: bytes, change: Rewrite, place: Place, depth: int) -> bytes:
    if is_text(content):
        return change(place, content)
    if depth < MAX_DEPTH and is_message(content):
        return rewrite(content, change, place, depth + 1)
    return content
