"""Raw HTTP/1.1 messages, built as bytes so that no library normalises them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
HTML: Header = (b"content-type", b"text/html")
CASE_HEADER = b"x-case"
ACCEPT_PLACEHOLDER = b"{accept}"
WEBSOCKET_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class Framing(Enum):
    """How the end of a body is marked."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    NONE = "none"


def chunked(body: bytes, size: int = 16384, trailers: tuple[Header, ...] = ()) -> bytes:
    """Return `body` in chunks of at most `size` bytes, including the last chunk and the trailers."""
    parts = (body[start : start + size] for start in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return chunks + b"0\r\n" + lines(trailers) + b"\r\n"


def lines(headers: tuple[Header, ...]) -> bytes:
    """Return the header lines, each with its line end."""
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers)


def frame(headers: tuple[Header, ...], body: bytes, framing: Framing, trailers: tuple[Header, ...]) -> bytes:
    """Return the end of the header block and the body, framed."""
    if framing is Framing.LENGTH:
        return lines((*headers, (b"content-length", b"%d" % len(body)))) + b"\r\n" + body
    if framing is Framing.CHUNKED:
        return lines((*headers, (b"transfer-encoding", b"chunked"))) + b"\r\n" + chunked(body, trailers=trailers)
    return lines(headers) + b"\r\n" + body


@dataclass(frozen=True)
class Request:
    """What a client sends; `encode` adds headers that select the canned response and close the connection."""

    method: bytes = b"GET"
    target: bytes = b"/v1/items"
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    framing: Framing = Framing.NONE
    trailers: tuple[Header, ...] = ()
    host: bytes = b"api.example.com"
    connection: bytes = b"close"

    def encode(self, case: str) -> bytes:
        """Return the bytes on the wire for the case of this name."""
        fixed = ((b"Host", self.host), (CASE_HEADER, case.encode()), (b"connection", self.connection))
        start = self.method + b" " + self.target + b" HTTP/1.1\r\n"
        return start + frame((*fixed, *self.headers), self.body, self.framing, self.trailers)


@dataclass(frozen=True)
class Response:
    """The target's response; JSON by default."""

    status: int = 200
    reason: bytes = b" OK"
    headers: tuple[Header, ...] = (JSON,)
    body: bytes = b'{"ok":true}'
    framing: Framing = Framing.LENGTH
    trailers: tuple[Header, ...] = ()
    connection: bytes = b"close"

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        start = b"HTTP/1.1 %d%s\r\n" % (self.status, self.reason)
        fixed = ((b"connection", self.connection),)
        return start + frame((*fixed, *self.headers), self.body, self.framing, self.trailers)


def post(body: bytes, *headers: Header, framing: Framing = Framing.LENGTH) -> Request:
    """Return a POST of `body`."""
    return Request(b"POST", headers=headers, body=body, framing=framing)


def put_json(body: bytes) -> Request:
    """Return a PUT of JSON."""
    return Request(b"PUT", headers=(JSON,), body=body, framing=Framing.LENGTH)
