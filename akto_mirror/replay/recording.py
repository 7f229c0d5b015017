"""Reads recorded traffic flow by flow: mitmproxy's flow files and HAR files, compressed or not."""

from __future__ import annotations

import io
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mitmproxy import exceptions, flow, http, version
from mitmproxy.io import FlowReader

from akto_mirror.capture import hosts
from akto_mirror.escaping import printable
from akto_mirror.replay import containers
from akto_mirror.replay.har import document
from akto_mirror.replay.har.attachments import Attachments, Beside
from akto_mirror.replay.har.flows import EntryError, flows

BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

NOT_A_RECORDING = "neither a flow file of mitmproxy nor a HAR file"

# mitmproxy's message for a format that it does not read (mitmproxy.io.compat.migrate_flow).
FORMAT = re.compile(r"flow format version (\d+|\([^)]*\))")

# Seconds by which the clock of the recording machine may have been ahead.
CLOCK_SKEW_S = 1.0

Share = Callable[[], float]


class UnreadableError(Exception):
    """A file cannot be read to its end; the text says why, without the file's name."""


class Record(NamedTuple):
    """One recorded flow, or an unreadable one.

    Attributes:
        flow: an HTTP exchange; None for anything else.
        share: how much of the file has been read so far, from 0 to 1.
        error: why it cannot be read; empty if it can, or if it is not an HTTP exchange.
        notes: parts of it that could not be read, such as a body in a missing file.
        has_time: whether the recording contains its time.
    """

    flow: http.HTTPFlow | None
    share: float
    error: str = ""
    notes: tuple[str, ...] = ()
    has_time: bool = True

    @property
    def missing_bodies(self) -> list[str]:
        """The bodies, `request` and `response`, that existed but are not in the recording."""
        made = self.flow
        messages = {"request": made.request, "response": made.response} if made else {}
        return [name for name, message in messages.items() if message and message.raw_content is None]


def read(path: Path) -> Iterator[Record]:
    """Yield the flows of a file, in order; only one flow at a time is in memory.

    Raises:
        UnreadableError: when nothing more can be read.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        size = max(1, os.fstat(file.fileno()).st_size)
        try:
            yield from _unpacked(file, path, lambda: min(1.0, file.tell() / size) if file.seekable() else 0.0)
        except containers.DAMAGE as error:
            raise UnreadableError(f"the archive is damaged or cut short ({printable(str(error), 120)})") from error
        except (document.DocumentError, containers.TooLargeError) as error:
            raise UnreadableError(printable(str(error))) from error
        except MemoryError as error:
            raise UnreadableError("too large for the memory") from error


def _unpacked(file: io.BufferedReader, path: Path, share: Share) -> Iterator[Record]:
    """Detect a file's format by its beginning, and read it."""
    head = file.peek(64)[:64]
    beside = Beside(path.parent)
    if head.startswith(b"PK"):
        yield from _archived(file)
    elif head.startswith(b"\x1f\x8b"):
        yield from _plain(containers.gzip_file(file), beside, share, containers.MAX_ENTRY)
    elif head.startswith(b"x"):
        yield from _plain(_zlib(file), beside, share, containers.MAX_ENTRY)
    else:
        yield from _plain(file, beside, share, None)


def _zlib(file: BinaryIO) -> io.BufferedReader:
    opened = containers.zlib_file(file)
    try:
        opened.peek(1)
    except containers.DAMAGE as error:
        raise UnreadableError(NOT_A_RECORDING) from error
    return opened


def _archived(file: BinaryIO) -> Iterator[Record]:
    try:
        archive = containers.Archive(file)
    except (ValueError, io.UnsupportedOperation) as error:
        raise UnreadableError(str(error)) from error
    opened = archive.open()
    yield from _plain(opened, archive, lambda: min(1.0, opened.tell() / archive.size), containers.MAX_ENTRY)


def _plain(file: io.BufferedReader, beside: Attachments, share: Share, longest: int | None) -> Iterator[Record]:
    head = file.peek(64)[:64]
    text = next((head.removeprefix(bom) for bom in BOMS if head.startswith(bom)), head).lstrip(b" \t\r\n\0")
    if text.startswith(b"{"):
        yield from _har(file, beside, share, longest)
    elif head[:1].isdigit():
        yield from _flows(file, share)
    elif head:
        raise UnreadableError(NOT_A_RECORDING)


def _flows(file: BinaryIO, share: Share) -> Iterator[Record]:
    """Yield flows; for a damaged file, mitmproxy's reader can raise any error."""
    number = 0
    try:
        for number, item in enumerate(FlowReader(file).stream(), start=1):  # noqa: B007 - used after the loop
            yield _record(item, share())
    except containers.TooLargeError:
        raise
    except Exception as error:
        raise UnreadableError(_damage(error, number)) from error


def _record(item: flow.Flow, share: float) -> Record:
    if not isinstance(item, http.HTTPFlow):
        return Record(None, share)
    hosts.modernize(item)
    return Record(item, share, has_time=_check_time(item))


def _damage(error: Exception, number: int) -> str:
    why = printable(str(error) or type(error).__name__, 120).rstrip(".")
    if isinstance(error, exceptions.FlowReadException) and (found := FORMAT.search(str(error))):
        return _foreign_format(found[1], number)
    return f"damaged or cut short after flow {number} ({why})" if number else f"not a flow file of mitmproxy ({why})"


def _foreign_format(given: str, number: int) -> str:
    """Describe a flow format that this mitmproxy cannot read: a number, or before version 4 two numbers."""
    is_newer = given.isdigit() and int(given) > version.FLOW_FORMAT_VERSION
    age, what = ("newer", "update mitmproxy") if is_newer else ("older", "convert it with the mitmproxy that wrote it")
    since = f" from flow {number + 1} on" if number else ""
    known = f"{version.MITMPROXY} reads up to {version.FLOW_FORMAT_VERSION}"
    return f"written by {'a' if is_newer else 'an'} {age} mitmproxy{since} (flow format {given}; {known}); {what}"


def _har(file: io.BufferedReader, beside: Attachments, share: Share, longest: int | None) -> Iterator[Record]:
    elements = document.elements(document.utf8(file.read, file.peek(4)[:4]), longest)
    for found in flows(elements, beside):
        if isinstance(found, EntryError):
            yield Record(None, share(), printable(str(found)))
        elif found.flow is None:
            yield Record(None, share())
        else:
            notes = tuple(map(printable, found.notes))
            yield Record(found.flow, share(), notes=notes, has_time=_check_time(found.flow))


def _check_time(item: http.HTTPFlow) -> bool:
    """Return whether a flow ended between 1970 and now; otherwise remove its times, so that it ends now."""
    response, error = item.response, item.error
    stamps = [
        *([response.timestamp_end, response.timestamp_start] if response else []),
        *([error.timestamp] if error else []),
        item.request.timestamp_start,
    ]
    end = next((stamp for stamp in stamps if stamp is not None), math.nan)
    if 0 <= end <= time.time() + CLOCK_SKEW_S:
        return True
    if response:
        response.timestamp_start = response.timestamp_end = math.nan
    if error:
        error.timestamp = math.nan
    item.request.timestamp_start = math.nan
    return False
