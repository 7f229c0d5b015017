"""Bodies: a bounded prefix as it came over the wire, and what Akto gets to read of it.

Nothing here ever holds more than a small multiple of the body limit, whatever a stranger sends: mitmproxy's own
`.content` and `.text` decode without a bound.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import brotlicffi
import zstandard

BOM = b"\xef\xbb\xbf"

# RFC 8878, section 3.1.1.1.2, recommends decoders to support 8 MB; RFC 9659 forbids HTTP senders to ask for more.
ZSTD_WINDOW = 8 * 1024 * 1024

# More codings in a row than anybody uses; each costs a pass over the prefix.
MAX_CODINGS = 4

# Bytes that zstandard is asked for at once; what it gave out before a fault is kept.
STEP = 16 * 1024

# Members of one gzip body: `cat a.gz b.gz` is legal (RFC 1952, section 2.2), thousands of empty ones are an attack.
MAX_MEMBERS = 64


@dataclass(frozen=True, slots=True)
class Body:
    """The wire bytes of one body, as far as they were kept.

    Attributes:
        prefix: the first bytes as they were transferred, content coding included.
        complete: the prefix is the whole body.
    """

    prefix: bytes = b""
    complete: bool = True


EMPTY = Body()


def prefix_bound(limit: int) -> int:
    """Bytes of the wire to keep for a body limit of `limit`: a poor compressor may make text longer, never double."""
    return 2 * limit


def snapshot(raw: bytes | None, limit: int) -> Body:
    """Take the bounded prefix of a body that mitmproxy holds; None stands for one that nobody kept."""
    if raw is None:
        return Body(b"", complete=False)
    bound = prefix_bound(limit)
    return Body(raw[:bound], complete=len(raw) <= bound)


def text(data: bytes) -> str:
    """Decode as the WHATWG `TextDecoder` does: UTF-8 with replacement, a leading byte order mark dropped."""
    return data.removeprefix(BOM).decode("utf-8", "replace")


def worker_payload(body: Body, coding: str, limit: int) -> str:
    """Return the payload that the Worker ships.

    A response in `gzip` or `br` is decoded by the platform, and gives an empty text if it is broken; every other coding
    stays as it is. What lies beyond the limit is not decoded here, so a fault there does not empty the text.

    Args:
        body: the body's prefix.
        coding: the `content-encoding` of a response; empty for a request, which the Worker never decodes.
        limit: bytes of the decoded body to keep.
    """
    decoder = WORKER_DECODERS.get(coding)
    if decoder is None or not body.prefix or not limit:
        return text(body.prefix[:limit])
    decoded = decoder(body.prefix, limit)
    cut = len(decoded.data) >= limit
    return text(decoded.data) if decoded.ended or cut else ""


def akto_payload(body: Body, content_type: str, coding: str, limit: int) -> str:
    """Return the payload that Akto's runtime can use best.

    gRPC frames become base64, of which the runtime decodes the first message. Every other body is decoded by all its
    codings; of a damaged one, what could be decoded is kept, and one whose label is wrong is taken as it is.
    """
    if is_grpc(content_type):
        return base64.b64encode(body.prefix[:limit]).decode("ascii")
    return text(decode(body.prefix, coding, limit))


def is_grpc(content_type: str) -> bool:
    """Tell whether a payload consists of gRPC frames; `grpc-web-text` is base64 already."""
    lowered = content_type.lower()
    return "grpc" in lowered and "grpc-web-text" not in lowered


def decode(data: bytes, coding: str, limit: int) -> bytes:
    """Undo the codings of a `content-encoding` value, last one first, and return at most `limit` bytes."""
    codings = [name for part in coding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if len(codings) > MAX_CODINGS or not limit:
        return b""
    for position, name in enumerate(reversed(codings), start=1):
        bound = limit if position == len(codings) else prefix_bound(limit)
        data = _decode_one(data, name, bound)
    return data[:limit]


def _decode_one(data: bytes, name: str, bound: int) -> bytes:
    decoder = DECODERS.get(name)
    if decoder is None or not data:
        return data
    decoded = decoder(data, bound).data
    return decoded or (data if _is_text(data) else b"")


def _is_text(data: bytes) -> bool:
    """Tell whether a body that could not be decoded was never encoded at all: readable, and no stray control bytes."""
    head = data[:512]
    return b"\x00" not in head and head.decode("utf-8", "replace").count("�") <= 1


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder got out of a prefix.

    Attributes:
        data: the decoded bytes, at most as many as were asked for.
        ended: the coded stream came to its proper end.
    """

    data: bytes
    ended: bool


class _Stream(Protocol):
    """A decoder that takes input piece by piece and never gives out more than it is asked for."""

    def feed(self, data: bytes, most: int) -> bytes: ...

    @property
    def ended(self) -> bool: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inner = zlib.decompressobj(wbits)
        self._members = 1

    def feed(self, data: bytes, most: int) -> bytes:
        out = self._inner.decompress(data, most)
        while self._inner.eof and len(out) < most and self._next_member():
            out += self._inner.decompress(self._rest, most - len(out))
        return out

    def _next_member(self) -> bool:
        """Start the next gzip member; anything else behind the end is garbage, which nobody misses."""
        self._rest = self._inner.unused_data
        if self._wbits != 31 or not self._rest.startswith(b"\x1f\x8b") or self._members >= MAX_MEMBERS:
            return False
        self._inner = zlib.decompressobj(self._wbits)
        self._members += 1
        return True

    @property
    def ended(self) -> bool:
        return self._inner.eof


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotlicffi.Decompressor()

    def feed(self, data: bytes, most: int) -> bytes:
        return bytes(self._inner.decompress(data, output_buffer_limit=most))

    @property
    def ended(self) -> bool:
        return bool(self._inner.is_finished())


def _run(make: Callable[[], _Stream], data: bytes, bound: int) -> Decoded:
    stream = make()
    try:
        return Decoded(stream.feed(data, bound), stream.ended)
    except DECODE_ERRORS:
        return Decoded(_salvage(make, data, bound), ended=False)


def _salvage(make: Callable[[], _Stream], data: bytes, bound: int) -> bytes:
    """Decode a damaged body up to the damage: a decoder that raises gives nothing of its last piece."""
    stream, out = make(), bytearray()
    step = max(1, len(data) // 512)
    try:
        for start in range(0, len(data), step):
            out += stream.feed(data[start : start + step], bound - len(out))
            if len(out) >= bound:
                break
    except DECODE_ERRORS:
        pass
    return bytes(out)


def _gzip(data: bytes, bound: int) -> Decoded:
    return _run(lambda: _Zlib(31), data, bound)


def _deflate(data: bytes, bound: int) -> Decoded:
    """RFC 9110, section 8.4.1.2, means zlib's format; some servers send raw deflate."""
    wrapped = _run(lambda: _Zlib(15), data, bound)
    return wrapped if wrapped.data or wrapped.ended else _run(lambda: _Zlib(-15), data, bound)


def _br(data: bytes, bound: int) -> Decoded:
    return _run(_Brotli, data, bound)


def _zstd(data: bytes, bound: int) -> Decoded:
    """Read by steps of output: zstandard's objects that take input by pieces give out without a bound."""
    out = bytearray()
    reader = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).stream_reader(data, read_across_frames=True)
    try:
        while len(out) < bound and (piece := reader.read(min(STEP, bound - len(out)))):
            out += piece
    except zstandard.ZstdError:
        return Decoded(bytes(out), ended=False)
    return Decoded(bytes(out), ended=len(out) < bound)


DECODE_ERRORS = (zlib.error, brotlicffi.error)

DECODERS: dict[str, Callable[[bytes, int], Decoded]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _br,
    "zstd": _zstd,
}

WORKER_DECODERS = {"gzip": _gzip, "br": _br}
