"""Recorded traffic: mitmproxy's flow files and HAR files, flow by flow."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mitmproxy import flow, http, io

from akto_mirror import har
from akto_mirror.escaping import printable

# What a compressed HAR file may become: a small one can be made to fill any memory.
MAX_INFLATED = 128 * 1024 * 1024

BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class UnreadableError(Exception):
    """A file cannot be read, or not beyond a point; the text says why, without the file's name."""


class Record(NamedTuple):
    """One recorded thing.

    Attributes:
        flow: an HTTP exchange; None for anything else.
        share: how much of the file has been read with it, from 0 to 1.
        fault: why it cannot be read; empty if it can, or if it is no HTTP exchange.
    """

    flow: http.HTTPFlow | None
    share: float
    fault: str = ""


def read(path: Path) -> Iterator[Record]:
    """Yield what a file holds, in its order; a HAR file is in memory as a whole meanwhile, a flow file never is.

    Raises:
        UnreadableError: at the point behind which nothing can be read.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        kind = _kind(file.peek(64)[:64])
        if kind == "flows":
            yield from _flows(file, os.fstat(file.fileno()).st_size)
        elif kind:
            yield from _har(file.read(), compressed=kind == "zhar")


def _kind(head: bytes) -> str:
    """Tell a file's kind by its beginning; empty for an empty file."""
    text = next((head.removeprefix(bom) for bom in BOMS if head.startswith(bom)), head).lstrip(b" \t\r\n\0")
    if not head:
        return ""
    if text.startswith(b"{"):
        return "har"
    if head[:1].isdigit():
        return "flows"
    if head.startswith(b"x"):
        return "zhar"
    raise UnreadableError("neither a flow file of mitmproxy nor a HAR file")


def _flows(file: BinaryIO, size: int) -> Iterator[Record]:
    """Yield flows; mitmproxy's reader lets faults of every kind through when a file is damaged."""
    number = 0
    try:
        for number, item in enumerate(io.FlowReader(file).stream(), start=1):  # noqa: B007 - told where it breaks off
            yield Record(_http(item), min(1.0, file.tell() / max(1, size)))
    except Exception as fault:
        raise UnreadableError(_damage(fault, number)) from fault


def _http(item: flow.Flow) -> http.HTTPFlow | None:
    return item if isinstance(item, http.HTTPFlow) else None


def _damage(fault: Exception, number: int) -> str:
    why = printable(str(fault) or type(fault).__name__, 120).rstrip(".")
    return f"damaged or cut short after flow {number} ({why})" if number else f"not a flow file of mitmproxy ({why})"


def _inflated(data: bytes) -> bytes:
    inner = zlib.decompressobj()
    inflated = inner.decompress(data, MAX_INFLATED)
    if not inner.eof and len(inflated) == MAX_INFLATED:
        raise UnreadableError(f"over {MAX_INFLATED >> 20} MiB when decompressed; unpack it and replay the .har file")
    if not inner.eof:
        raise zlib.error("incomplete")
    return inflated


def _har(data: bytes, *, compressed: bool) -> Iterator[Record]:
    try:
        entries = har.parse(_inflated(data) if compressed else data)
    except zlib.error as fault:
        raise UnreadableError("neither a flow file of mitmproxy nor a HAR file") from fault
    except (ValueError, MemoryError) as fault:
        raise UnreadableError(printable(str(fault) or "too large for the memory")) from fault
    for number, found in enumerate(har.flows(entries), start=1):
        share = number / len(entries)
        if isinstance(found, ValueError):
            yield Record(None, share, printable(str(found)))
        else:
            yield Record(found, share)
