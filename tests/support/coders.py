"""Compressors for every content coding that payloads may have."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator

import brotlicffi
import zstandard


def raw_deflate(data: bytes) -> bytes:
    """Compress without zlib's header and trailer, which some servers call deflate."""
    return zlib.compress(data, wbits=-15)


def brotli(data: bytes) -> bytes:
    """Compress at a fast level."""
    return bytes(brotlicffi.compress(data, quality=5))


def zstd(data: bytes) -> bytes:
    """Compress into one zstd frame."""
    return zstandard.ZstdCompressor().compress(data)


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli,
    "zstd": zstd,
}


def encode(data: bytes, coding: str) -> bytes:
    """Apply the codings of a `content-encoding` value in order."""
    for name in coding.split(","):
        data = CODERS.get(name.strip().lower(), bytes)(data)
    return data


def bomb(coding: str, size: int) -> bytes:
    """Compress `size` zero bytes without ever holding them."""
    return b"".join(_pieces(coding, size))


def _pieces(coding: str, size: int) -> Iterator[bytes]:
    block = bytes(1 << 20)
    compress, finish = _stream(coding)
    for _ in range(size >> 20):
        yield compress(block)
    yield finish()


def _stream(coding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if coding == "br":
        stream = brotlicffi.Compressor(quality=1)
        return stream.process, stream.finish
    if coding == "zstd":
        frame = zstandard.ZstdCompressor(level=1).compressobj()
        return frame.compress, frame.flush
    deflate = zlib.compressobj(1, wbits={"gzip": 31, "deflate": 15, "raw": -15}[coding])
    return deflate.compress, deflate.flush
