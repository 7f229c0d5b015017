"""gRPC: joins the messages of a stream behind one frame header, the only form that Akto's runtime reads.

It decodes the base64, drops five bytes and reads the rest as one protocol buffers message. Concatenated messages merge
into one (https://protobuf.dev/programming-guides/encoding/#last-one-wins), so that it sees the fields of all messages
of a stream.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from akto_mirror.capture.payload import codings, json, protobuf

# The most frames of one stream that are read: 64 KB of empty ones are 13,000.
MAX_FRAMES = 4_096

# The most messages that are decompressed; each costs some microseconds, however short.
MAX_COMPRESSED = 1_024

HEAD = 5
COMPRESSED, CONNECT_END, TRAILERS = 0x01, 0x02, 0x80
FLAGS = frozenset({0, COMPRESSED, CONNECT_END, CONNECT_END | COMPRESSED, TRAILERS, TRAILERS | COMPRESSED})

GZIP = b"\x1f\x8b"
PADDING = re.compile(rb"=+")

# The most chunks of base64, each with padding at its end; servers pad at each flush.
MAX_CHUNKS = 4_096


class Message(NamedTuple):
    """One message of a stream, decompressed.

    Attributes:
        data: its bytes, as far as available.
        whole: whether it is complete.
    """

    data: bytes
    whole: bool


def messages(data: bytes, encoding: str, bound: int) -> list[Message] | None:
    """Return the messages of a stream (gRPC over HTTP/2, "Length-Prefixed-Message"), up to the bound.

    Trailers, and messages in an unknown coding, are left out. All messages beyond the limits are replaced by one that
    is empty and not whole.

    Args:
        data: the frames, cut anywhere.
        encoding: the header `grpc-encoding` (`connect-content-encoding`), empty if absent.
        bound: bytes to decompress of each message at most; after this many in total, no further message is read.

    Returns:
        None if the data does not begin with a frame.
    """
    if not data or data[0] not in FLAGS:
        return None
    found, left, compressed = list[Message](), bound, 0
    for number, (flag, content, whole) in enumerate(_frames(data)):
        if left < 0 or compressed == MAX_COMPRESSED or number == MAX_FRAMES:
            found.append(Message(b"", whole=False))
            break
        if flag & (TRAILERS | CONNECT_END):
            continue
        compressed += flag & COMPRESSED
        message = _inflated(content, whole, encoding, bound) if flag & COMPRESSED else Message(content, whole)
        if message is not None:
            found.append(message)
            left -= len(message.data)
    return found


def _frames(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    position = 0
    while len(data) - position >= HEAD and data[position] in FLAGS:
        start = position + HEAD
        end = start + int.from_bytes(data[position + 1 : start], "big")
        yield data[position], data[start:end], end <= len(data)
        position = end


def _inflated(content: bytes, whole: bool, encoding: str, bound: int) -> Message | None:
    """Decompress a message; without the header, gzip is recognised by its first bytes. None for an unknown coding."""
    name = encoding.strip().lower() or ("gzip" if content.startswith(GZIP) else "identity")
    if name == "identity":
        return Message(content, whole)
    if name not in codings.DECODERS:
        return None
    data = codings.decode(content, name, bound + 1)
    return Message(data, whole and len(data) <= bound)


def unwrapped(text: bytes) -> bytes:
    """Decode the base64 of `grpc-web-text` as far as it is valid; there may be padding between chunks."""
    try:
        return a2b_base64(text, strict_mode=True)
    except (Error, ValueError):
        pieces = PADDING.split(text.translate(None, b" \t\r\n"), MAX_CHUNKS)
        return b"".join(map(_piece, pieces[:MAX_CHUNKS]))


def _piece(piece: bytes) -> bytes:
    whole = len(piece) if len(piece) % 4 != 1 else len(piece) - 1
    try:
        return a2b_base64(piece[:whole] + b"=" * (-whole % 4), strict_mode=True)
    except (Error, ValueError):
        return b""


def room(limit: int) -> int:
    """Return how many bytes of messages fit into the limit as base64 with a frame header; may be negative."""
    return limit // 4 * 3 - HEAD


def fits(found: Sequence[Message], size: int) -> bool:
    """Return whether all messages are whole and have at most `size` bytes in total."""
    return all(message.whole for message in found) and sum(len(message.data) for message in found) <= size


def wrapped(found: Iterable[Message], limit: int) -> bytes:
    """Return the base64 of messages behind one frame header, up to the limit; empty if there are none.

    The message at the limit is shortened so that it can still be parsed; later ones are left out.
    """
    merged, left = list[bytes](), room(limit)
    for message in found:
        if left < 0:
            break
        fits = message.whole and len(message.data) <= left
        part = message.data if fits else _short(message, left, first=not merged)
        merged.append(part)
        left -= len(part)
        if not fits:
            break
    data = b"".join(merged)
    return b2a_base64(b"\x00" + len(data).to_bytes(4, "big") + data, newline=False) if merged else b""


def _short(message: Message, left: int, *, first: bool) -> bytes:
    """Shorten a message; bytes that are not a message are cut if they come first, and otherwise left out."""
    kept = protobuf.shorten(message.data, left)
    if kept or not first or protobuf.is_message(message.data, len(message.data) + 1):
        return kept
    return message.data[:left]


def json_text(found: list[Message], limit: int) -> bytes | None:
    """Return JSON messages as one text, several as an array; None if one of several is not JSON.

    Args:
        found: the messages; the last may be cut.
        limit: bytes that the result may have.
    """
    texts = [message.data for message in found if message.data.strip()]
    if not texts:
        return b""
    if not found[-1].whole:
        closed = json.close(texts.pop(), limit)
        texts += [closed] if closed else []
    if len(texts) == 1:
        return texts[0] if len(texts[0]) <= limit else json.close(texts[0], limit)
    return json.array(texts, limit) if all(map(json.is_json, texts)) else None
