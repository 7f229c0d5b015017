"""Content codings: decodes bodies up to a limit, and damaged ones as far as possible.

Memory is bounded by a small multiple of the limit, whatever an untrusted client sends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import brotlicffi
import zstandard

# RFC 8878, section 3.1.1.1.2, recommends that decoders support 8 MB; RFC 9659 forbids larger windows in HTTP.
ZSTD_WINDOW = 8 * 1024 * 1024

# The minimum number of bytes on the wire that are kept of a body: enough for the headers and tables of several codings.
MIN_PREFIX = 1024

# More codings in a row than are used in practice; each costs a pass over the prefix.
MAX_CODINGS = 4

# The most members of one body. `cat a.gz b.gz` is legal (RFC 1952, section 2.2), and some servers write a member for
# each event, but thousands of empty ones are an attack. Finding the end of a br stream costs a millisecond.
GZIP_MEMBERS = 256
BR_MEMBERS = 8

# The number of pieces into which a br stream is split to find its end, until they have at most `BR_FINE` bytes and are
# read byte by byte.
BR_PIECES = 16
BR_FINE = 512


@dataclass(frozen=True, slots=True)
class Decoded:
    """The output of a decoder.

    Attributes:
        data: the decoded bytes, at most as many as requested.
        ended: whether the coded stream was complete.
        rest: the input after its end.
    """

    data: bytes
    ended: bool
    rest: bytes = b""


def prefix_bound(limit: int) -> int:
    """Return how many bytes on the wire to keep for a body limit of `limit` bytes.

    A poor compressor makes text longer, but never twice as long. Codings begin with headers and tables, so that even a
    small limit needs `MIN_PREFIX` bytes; for a limit of 0, none are kept.
    """
    return max(2 * limit, MIN_PREFIX) if limit else 0


def content_codings(value: str) -> list[str]:
    """Return the names in a `content-encoding` value, in lower case and without `identity`, which changes nothing."""
    return [name for part in value.lower().split(",") if (name := part.strip()) not in ("", "identity")]


def decode(data: bytes, coding: str, limit: int) -> bytes:
    """Return only the bytes of `decoded`."""
    return decoded(data, coding, limit).data


def decoded(data: bytes, coding: str, limit: int) -> Decoded:
    """Decode the codings of a `content-encoding` value, the last one first, and return at most `limit` bytes.

    With more than `MAX_CODINGS` codings nothing is decoded, and the bytes are unchanged, so that a header cannot hide
    them.
    """
    codings = content_codings(coding) if coding else []
    if len(codings) > MAX_CODINGS or not limit:
        codings = []
    ended = True
    for position, name in enumerate(reversed(codings), start=1):
        bound = limit if position == len(codings) else prefix_bound(limit)
        part = _decode_one(data, name, bound)
        data, ended = part.data, ended and part.ended
    return Decoded(data[:limit], ended and len(data) <= limit)


def _decode_one(data: bytes, name: str, bound: int) -> Decoded:
    decoder = DECODERS.get(name)
    if decoder is None or not data:
        return Decoded(data, ended=True)
    found = decoder(data, bound)
    if found.data or (found.ended and not found.rest):
        return found
    return Decoded(data if _is_text(data) else b"", ended=True)


def _is_text(data: bytes) -> bool:
    """Return whether a body that could not be decoded was never encoded: it begins with UTF-8 without NUL bytes."""
    head = data[:512]
    return b"\x00" not in head and head.decode("utf-8", "replace").count("�") <= 1


# Decodes the input, or only its first member, to at most this many bytes (1 or more); never raises.
Member = Callable[[bytes, int], Decoded]


def _decode_members(member: Member, data: bytes, bound: int, most: int) -> Decoded:
    """Decode up to `most` consecutive members; trailing data that is not a member is left in `rest`."""
    out, left, last = list[bytes](), bound, Decoded(b"", ended=False, rest=data)
    for _ in range(most):
        part = member(last.rest, left)
        if last.ended and not part.data and not part.ended:
            break
        out.append(part.data)
        left -= len(part.data)
        last = part
        if not part.ended or not part.rest or left <= 0:
            break
    # `join` does not copy a single member, which is the usual case.
    return Decoded(b"".join(filter(None, out)), last.ended, last.rest)


def _inflate(wbits: int) -> Member:
    def member(data: bytes, bound: int) -> Decoded:
        inner = zlib.decompressobj(wbits)
        try:
            return Decoded(inner.decompress(data, bound), inner.eof, inner.unused_data)
        except zlib.error:
            whole = _longest_sound(data, lambda head: zlib.decompressobj(wbits).decompress(head, bound), zlib.error)
            return Decoded(zlib.decompressobj(wbits).decompress(data[:whole], bound), ended=False)

    return member


def _brotli(data: bytes, bound: int) -> Decoded:
    """Decode a stream; for data after its end, as for damage, the library raises an error and returns no output."""
    inner = brotlicffi.Decompressor()
    try:
        return Decoded(bytes(inner.decompress(data, output_buffer_limit=bound)), inner.is_finished())
    except brotlicffi.error:
        return _brotli_by_pieces(data, bound)


def _brotli_by_pieces(data: bytes, bound: int) -> Decoded:
    """Decode up to the byte at which the library raises an error, found with smaller and smaller pieces.

    For each size, decoding starts again, which is slow for a stream with a large window: 7 ms for one of 16 MiB.
    """
    sound, size = 0, len(data)
    while True:
        size = size // BR_PIECES if size > BR_FINE else 1
        inner, out = brotlicffi.Decompressor(), bytearray()
        with suppress(brotlicffi.error):
            out += inner.decompress(data[:sound], output_buffer_limit=bound)
            while sound < len(data) and len(out) < bound and not inner.is_finished():
                out += inner.decompress(data[sound : sound + size], output_buffer_limit=bound - len(out))
                sound += size
            return Decoded(bytes(out), inner.is_finished(), data[sound:])
        if size == 1:
            return Decoded(bytes(out), ended=False, rest=data[sound:])


def _longest_sound(data: bytes, decode: Callable[[bytes], object], error: type[Exception]) -> int:
    """Return the length of the longest prefix of `data` that a decoder accepts, found by bisection."""
    sound, unsound = 0, len(data)
    while unsound - sound > 1:
        middle = (sound + unsound) // 2
        try:
            decode(data[:middle])
            sound = middle
        except error:
            unsound = middle
    return sound


def _gzip(data: bytes, bound: int) -> Decoded:
    return _decode_members(_inflate(GZIP), data, bound, GZIP_MEMBERS)


def _deflate(data: bytes, bound: int) -> Decoded:
    """Decode zlib's format (RFC 9110, section 8.4.1.2), or the raw deflate of some servers, which text may resemble."""
    wrapped = _inflate(ZLIB)(data, bound)
    if wrapped.data or wrapped.ended:
        return wrapped
    inner = zlib.decompressobj(RAW)
    try:
        raw = Decoded(inner.decompress(data, bound), inner.eof, inner.unused_data)
    except zlib.error:
        return wrapped
    return raw if raw.ended or not _is_text(data) else wrapped


def _br(data: bytes, bound: int) -> Decoded:
    return _decode_members(_brotli, data, bound, BR_MEMBERS)


def _zstd(data: bytes, bound: int) -> Decoded:
    """Decode all frames; on an error the library returns nothing, so that the longest valid prefix is searched for.

    The library does not report whether the last frame is complete; with any output, it is assumed to be.
    """
    try:
        out = _read_zstd(data, bound)
        return Decoded(out, ended=bool(out))
    except zstandard.ZstdError:
        whole = _longest_sound(data, lambda head: _read_zstd(head, bound), zstandard.ZstdError)
        return Decoded(_read_zstd(data[:whole], bound), ended=False)


def _read_zstd(data: bytes, bound: int) -> bytes:
    """Decode with a stream reader, because zstandard's incremental decompressors do not limit their output."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    with decompressor.stream_reader(data, read_across_frames=True) as reader:
        return reader.read(bound)


# zlib's `wbits` for each format.
GZIP, ZLIB, RAW = 31, 15, -15

# The codings that the Worker's platform decodes.
WORKER_DECODERS: dict[str, Member] = {"gzip": _gzip, "br": _br}

DECODERS: dict[str, Member] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _br,
    "zstd": _zstd,
}
