"""Parses the frames of gRPC messages, and the fields that can be found without a schema (pure, bounded)."""

from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Iterator
from typing import NamedTuple

MAX_FRAMES = 1_000
MAX_FIELDS = 500
MAX_DEPTH = 6
HEAD = 5

# Protocol buffers' encoding: the wire type is the tag's low three bits. Types by their bits in `shapes.BITS`.
INTEGER, NUMBER, STRING, BYTES, MESSAGE = 1 << 2, 1 << 3, 1 << 4, 1 << 7, 1 << 9


class Frames(NamedTuple):
    """Data about the length-prefixed messages of a gRPC body.

    Attributes:
        messages: How many there are, including a truncated last one.
        size: Their length in bytes without the prefixes.
        compressed: Whether one is compressed; its fields are not read then.
        cut: Whether the last one is truncated.
        fields: Types by the fields' numbers, such as `1.2`.
    """

    messages: int
    size: int
    compressed: bool
    cut: bool
    fields: tuple[tuple[str, int], ...]


def read(payload: str) -> Frames | None:
    """Read a payload that is the base64 of length-prefixed messages (gRPC over HTTP/2, "Message framing").

    Returns:
        None if it is not.
    """
    try:
        data = a2b_base64(payload, strict_mode=True)
    except (Error, ValueError):
        return None
    parts = list(_split(data))
    if not parts or any(flag > 1 and flag != 0x80 for flag, _, _ in parts):
        return None
    found: dict[str, int] = {}
    for flag, message, length in parts:
        if flag == 0 and len(message) == length:
            _fields(message, "", 0, found)
    size = sum(len(message) for _, message, _ in parts)
    cut = any(len(message) < length for _, message, length in parts)
    return Frames(len(parts), size, any(flag == 1 for flag, _, _ in parts), cut, tuple(found.items()))


def _split(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    position = 0
    for _ in range(MAX_FRAMES):
        if len(data) - position < HEAD:
            return
        length = int.from_bytes(data[position + 1 : position + HEAD], "big")
        yield data[position], data[position + HEAD : position + HEAD + length], length
        position += HEAD + length


def _fields(message: bytes, path: str, depth: int, found: dict[str, int]) -> bool:
    """Add the fields of a message; False, without adding any, if it is not a message."""
    parsed = _parse(message)
    if parsed is None:
        return False
    for number, value in parsed:
        name = f"{path}{number}"
        if isinstance(value, int):
            found[name] = found.get(name, 0) | value
        elif (
            not (text := _is_text(value))
            and depth < MAX_DEPTH
            and value
            and _fields(value, f"{name}.", depth + 1, found)
        ):
            found[name] = found.get(name, 0) | MESSAGE
        else:
            found[name] = found.get(name, 0) | (STRING if text else BYTES)
    return True


def _is_text(value: bytes) -> bool:
    try:
        return value.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


def _parse(message: bytes) -> list[tuple[int, int | bytes]] | None:
    """Split a message into field numbers and values: bytes, or for a number the bit of its type."""
    parsed: list[tuple[int, int | bytes]] = []
    position = 0
    while position < len(message) and len(parsed) < MAX_FIELDS:
        tag, position = _varint(message, position)
        kind, number = tag & 7, tag >> 3
        if number == 0 or kind in (3, 4, 6, 7):
            return None
        if kind == 2:
            length, position = _varint(message, position)
            parsed.append((number, message[position : position + length]))
            position += length
        elif kind == 0:
            parsed.append((number, INTEGER))
            _, position = _varint(message, position)
        else:
            parsed.append((number, NUMBER))
            position += 8 if kind == 1 else 4
    return parsed if position <= len(message) or len(parsed) == MAX_FIELDS else None


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a varint; if it is truncated or too long, the returned position is beyond the end."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    return value, len(data) + 1
