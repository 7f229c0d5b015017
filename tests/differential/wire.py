"""Messages as a peer received them, and a reader of HTTP/1 messages that changes no byte."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass

COMPLETE = "complete"
CUT = "cut short"

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Message:
    """One request or response as a peer received it.

    Attributes:
        head: HTTP/1: the lines of the head exactly as they came. HTTP/2: each field's name, `FIELD` and value.
        body: the body's bytes, without the chunked coding.
        trailers: as `head`.
        framing: how the end of the body was marked; for the chunked coding with the size of every chunk.
        end: `COMPLETE`, `CUT`, or the error of the reset.
    """

    head: tuple[bytes, ...]
    body: bytes = b""
    trailers: tuple[bytes, ...] = ()
    framing: str = "none"
    end: str = COMPLETE


# Separates name and value of an HTTP/2 field.
FIELD = b"\x1f"


class Stream:
    """A connection that is read into a buffer, and records how it ended."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.buffer = bytearray()
        self.ended = ""

    async def more(self) -> bool:
        """Read available bytes, or wait for some; False at the end, which `ended` then describes."""
        if self.ended:
            return False
        try:
            data = await self._reader.read(1 << 18)
        except (ConnectionError, ssl.SSLError):
            self.ended = "reset"
            return False
        self.ended = "" if data else "eof"
        self.buffer += data
        return bool(data)

    async def send(self, data: bytes) -> None:
        """Write; that the peer is gone shows when the response is read."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass

    def take(self, size: int) -> bytes:
        """Take from the front of the buffer."""
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    async def exactly(self, size: int) -> bytes:
        """Read this many bytes, or fewer if the connection ends before."""
        while len(self.buffer) < size and await self.more():
            pass
        return self.take(size)

    async def rest(self) -> bytes:
        """Read to the end of the connection."""
        parts = [self.take(len(self.buffer))]
        while await self.more():
            parts.append(self.take(len(self.buffer)))
        return b"".join(parts)


async def read_head(stream: Stream) -> bytes:
    """Read a head with its empty line, or the part before the end of the connection."""
    while HEAD_END not in stream.buffer:
        if not await stream.more():
            return stream.take(len(stream.buffer))
    return stream.take(stream.buffer.index(HEAD_END) + len(HEAD_END))


async def read_request(stream: Stream, head: bytes) -> Message:
    """Read the body that a request's head announces."""
    if not is_chunked(head) and body_length(head) is None:
        return Message(lines_of(head))
    return await _read_body(stream, head)


async def read_response(stream: Stream, head: bytes, method: str) -> Message:
    """Read the body that a response's head announces in answer to `method` (RFC 9112, section 6.3)."""
    if not head.endswith(HEAD_END):
        return Message(lines_of(head), end=CUT)
    if method.upper() == "HEAD" or status(head) in (204, 304) or status(head) < 200:
        return Message(lines_of(head))
    return await _read_body(stream, head)


def status(head: bytes) -> int:
    """Return a response's status code."""
    found = re.match(rb"HTTP/\d\.\d (\d+)", head)
    return int(found[1]) if found else 0


def closes(message: Message) -> bool:
    """Return whether a message says that it is the last one on its connection."""
    return any(re.match(rb"(?i)connection:.*\bclose\b", line) for line in message.head)


def lines_of(head: bytes) -> tuple[bytes, ...]:
    """Return the lines of a head as they came."""
    return tuple(head.removesuffix(HEAD_END).split(b"\r\n"))


def is_chunked(head: bytes) -> bool:
    """Return whether a head announces the chunked coding."""
    return re.search(rb"(?im)^transfer-encoding:.*chunked", head) is not None


def body_length(head: bytes) -> int | None:
    """Return the length of the body that a head announces."""
    found = re.search(rb"(?im)^content-length:[ \t]*(\d+)", head)
    return int(found[1]) if found else None


def dechunk(data: bytes) -> bytes:
    """Return the data of a chunked body, up to its end or to the first invalid chunk."""
    out = bytearray()
    while found := re.match(rb"([0-9a-fA-F]+)[^\r\n]*\r\n", data):
        size = int(found[1], 16)
        out += data[found.end() : found.end() + size]
        data = data[found.end() + size + 2 :] if size else b""
    return bytes(out)


async def _read_body(stream: Stream, head: bytes) -> Message:
    if is_chunked(head):
        return await _read_chunked(stream, head)
    length = body_length(head)
    if length is None:
        return Message(lines_of(head), await stream.rest(), framing="close", end=COMPLETE)
    body = await stream.exactly(length)
    return Message(lines_of(head), body, framing="length", end=COMPLETE if len(body) == length else CUT)


async def _read_chunked(stream: Stream, head: bytes) -> Message:
    chunks: list[bytes] = []
    whole = True
    while whole and (size := await _read_size(stream)):
        chunk = await stream.exactly(size + 2)
        whole = len(chunk) == size + 2
        chunks.append(chunk[:size])
    framing = " ".join(["chunked", *(str(len(chunk)) for chunk in chunks)])
    if not whole or size is None:
        return Message(lines_of(head), b"".join(chunks), framing=framing, end=CUT)
    trailers = await _read_trailers(stream)
    return Message(lines_of(head), b"".join(chunks), trailers, framing)


async def _read_size(stream: Stream) -> int | None:
    line = await _read_line(stream)
    try:
        return int((line or b"").split(b";")[0], 16)
    except ValueError:
        return None


async def _read_trailers(stream: Stream) -> tuple[bytes, ...]:
    lines = []
    while line := await _read_line(stream):
        lines.append(line)
    return tuple(lines)


async def _read_line(stream: Stream) -> bytes | None:
    while b"\r\n" not in stream.buffer:
        if not await stream.more():
            return None
    return stream.take(stream.buffer.index(b"\r\n") + 2)[:-2]
