"""Draws the parts of exchanges: bodies, header lines, codings."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from random import Random
from typing import TypeVar

import brotlicffi
import zstandard

T = TypeVar("T")

KIB = 1024

# Around the default of akto_body_limit, mitmproxy's read size, and every bound of the addon.
SIZES = (0, 1, KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 200 * KIB, KIB * KIB)
WEIGHTS = (3, 3, 8, 2, 2, 2, 2, 1)
SMALL_SIZES = (0, 1, 100, KIB)

METHODS = (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND", b"M-SEARCH", b"QUERY")
ODD_METHODS = (b"get", b"Post", b"X", b"FOO!", b"*", b"BR\xc3\xa9W", b"\xff", b"A" * 300, b"PRI")
PATHS = (b"/", b"/v1/users", b"/v1/users/1?expand=true", b"/a/b/c/?x=1&y=2&x=3", b"/graphql", b"/empty?")
HOSTILE_PATHS = (
    b"/\xff\xfe",
    b"/%zz%",
    b"//double//slash",
    b"/../../etc/passwd",
    b"/a?b=\x80\x81&c=\xc3\xa9",
    b"/\x01\x02\x7f",
    b"/quote\"'<>`{}|\\^",
    b"/#fragment",
    b"/?",
    b"/??a&&b==c&",
    b"/;p=1/../x",
    b"/%00%0d%0a",
    b"/" + b"long/" * 1600,
    b"*",
)
TYPES = (
    b"application/json",
    b"application/json; charset=utf-8",
    b"APPLICATION/JSON",
    b"text/xml",
    b"application/soap+xml",
    b"application/x-www-form-urlencoded",
    b"text/html",
    b"image/png",
    b"application/octet-stream",
    b"application/problem+json;\xff\xfe",
    b"",
)
GRPC_TYPES = (b"application/grpc", b"application/grpc+proto", b"application/grpc-web", b"application/grpc-web-text")
STATUSES = (
    b"200 OK",
    b"200 OK",
    b"200 ",
    b"201 Created",
    b"202 Tr\xe8s bien",
    b"206 Partial Content",
    b"301 Moved Permanently",
    b"307 Temporary Redirect",
    b"400 Bad Request",
    b"404 Not Found",
    b"418 I'm a teapot",
    b"429 Too Many Requests",
    b"500 Internal Server Error",
    b"599 " + b"x" * 200,
    b"799 Odd",
)
REQUEST_LINES = (
    b"User-Agent: differential/1.0",
    b"accept: */*",
    b"Accept: application/json",
    b"ACCEPT-ENCODING: gzip, br",
    b"Cookie: a=1; b=2",
    b"Cookie: c=3",
    b"cookie: d=\xff",
    b"Authorization: Bearer abc.def",
    b"CF-Connecting-IP: 203.0.113.7",
    b"X-Forwarded-For: 203.0.113.7, 198.51.100.1",
    b"X-Rep: 1",
    b"x-rep: 2",
    b"X-REP: 1",
    b"X-Empty:",
    b"X-Blank: \t ",
    b"x-tight:value",
    b"X-Loose: \t  value\t ",
    b"Connection: keep-alive",
    b"Connection: Keep-Alive, X-Rep",
    b"Proxy-Connection: keep-alive",
    b"TE: trailers",
    b"Upgrade-Insecure-Requests: 1",
    b"Expect: nothing",
    b'If-None-Match: "x", W/"y"',
    b"Range: bytes=0-10",
)
ANSWER_LINES = (
    b"Server: target/1.0",
    b"Date: Mon, 01 Jan 2024 00:00:00 GMT",
    b"Set-Cookie: a=1; Path=/",
    b"Set-Cookie: b=2; HttpOnly",
    b"set-cookie: a=3",
    b'ETag: W/"1"',
    b"CACHE-CONTROL: no-store",
    b"cache-control: max-age=0",
    b"Vary: Accept",
    b"vary: Origin",
    b"Via: 1.1 elsewhere",
    b"X-Empty:",
    b"x-tight:value",
    b"X-Loose: \t  value\t ",
    b'Alt-Svc: h3=":443"',
    b"Trailer: X-Sum",
    b"Keep-Alive: timeout=5",
)
HOSTILE_LINES = (
    b"X-Latin: caf\xe9",
    b"X-Bytes: \xff\xfe\x80",
    b"X-Control: \x01\x02\x08\x0b\x0c\x0e\x1f\x7f",
    b"X-Nul: a\x00b",
    b"X-Return: a\rb",
    b"X-Tab: a\tb\tc",
    b"X-Folded: one\r\n two\r\n\tthree",
    b"X-Utf8: \xe2\x82\xac \xf0\x9f\x98\x80",
    b"X-Surrogate: \xed\xa0\x80",
    b"X-Long: " + b"v" * 9000,
    b"!#$%&'*+-.^_`|~: token",
    b"X_Under_Score: 1",
    b"x.dot: 1",
    b"1: digit",
    b"X-Colons: a:b::c:",
    b"Content-Encoding: \xff",
    b'Content-Disposition: attachment; filename="\xe4\xf6\xfc"',
)
HOSTS = (
    (b"Host: api.example.test",),
    (b"HOST: api.example.test",),
    (b"host: API.Example.TEST:8443",),
    (b"Host: 127.0.0.1",),
    (b"Host: [::1]:80",),
    (b"Host: a.test", b"Host: b.test"),
    (b"Host: a.test", b"X-Between: 1", b"host: b.test"),
    (b"Host:",),
    (b"Host: \xff\xfe.test",),
    (b"Host: two words",),
    (b"Host: user@api.test",),
    (b"Host: api.test:99999",),
    (b"Host: xn--bcher-kva.example",),
    (b"X-Forwarded-Host: other.test", b"Host: api.test"),
    (),
)


class Maker:
    """Draws the parts of one exchange, whose id it holds."""

    def __init__(self, random: Random, name: str) -> None:
        self.random = random
        self.id = name

    def one(self, values: Sequence[T]) -> T:
        """Draw one of the choices."""
        return self.random.choice(values)

    def some(self, values: Sequence[T], most: int) -> list[T]:
        """Draw up to `most` of the choices, each at most once, in any order."""
        return self.random.sample(values, self.random.randint(0, min(most, len(values))))

    def chance(self, share: float) -> bool:
        """Draw True with this probability."""
        return self.random.random() < share

    def size(self) -> int:
        """Draw the size of a body."""
        return self.random.choices(SIZES, WEIGHTS)[0]

    def body(self, size: int) -> bytes:
        """Draw a body: bytes of all kinds, JSON, or one letter repeated."""
        form = self.random.randrange(3)
        if form == 0:
            return self.random.randbytes(size)
        if form == 1:
            return self.json(size)
        return self.one((b"a", b"\x00", b"\n", b"0\r\n\r\n")) * size if size < KIB else b"\xc3\xa9" * (size // 2)

    def json(self, size: int) -> bytes:
        """Draw a JSON text of this size or a little more, if it is more than a few bytes."""
        record = {"id": self.id, "name": "café", "n": self.random.random()}
        text = json.dumps(record, ensure_ascii=False).encode()
        return text[:size] if size < len(text) else b"[" + b",".join([text] * (size // len(text))) + b"]"

    def coded(self, data: bytes) -> tuple[bytes, bytes]:
        """Draw a content coding: its label and the coded bytes, which do not always match."""
        codings = {
            b"gzip": gzip.compress(data, mtime=0),
            b"deflate": zlib.compress(data),
            b"br": brotlicffi.compress(data, quality=3),
            b"zstd": zstandard.compress(data),
            b"gzip, br": brotlicffi.compress(gzip.compress(data, mtime=0), quality=3),
            b"identity": data,
        }
        label, coded = self.one(list(codings.items()))
        form = self.random.randrange(6)
        if form == 0:
            return label, data
        if form == 1:
            return label, coded[: len(coded) // 2]
        if form == 2:
            return label, coded + b"garbage"
        return (label.upper() if form == 3 else label), coded

    def pieces(self) -> int:
        """Draw the number of writes for a body."""
        return self.one((1, 1, 2, 3, 7))


def chunked(maker: Maker, data: bytes) -> bytes:
    """Apply the chunked coding, with chunks of drawn sizes, extensions and both cases of hexadecimal digits."""
    size = max(1, -(-len(data) // maker.random.randint(1, 9)))
    form = maker.one((b"%x\r\n", b"%X\r\n", b"000%x\r\n", b"%x;name=value\r\n"))
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(form % len(part) + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def join(start: bytes, lines: Sequence[bytes], end: bytes = b"\r\n") -> bytes:
    """Build a head from its start line and field lines."""
    return end.join([start, *lines]) + end * 2
