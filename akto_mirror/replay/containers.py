"""Reads compressed recordings: gzip, zlib and zip archives, in pieces and up to a limit.

A small file can expand to any size, so its output is limited in bytes, and so is a single read.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from typing import BinaryIO, Protocol

from akto_mirror.replay.har.attachments import MAX_ATTACHED, AttachmentError, check_name

# The most bytes of a decompressed recording, and of one entry in it.
MAX_INFLATED = 2 * 1024**3
MAX_ENTRY = 128 * 1024**2

CHUNK = 64 * 1024

# Playwright's name for the HAR file in an archive.
HAR_NAME = "har.har"

# Errors of Python's modules for archives that are damaged, encrypted, or compressed by an unknown method.
DAMAGE = (zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, RuntimeError, NotImplementedError)


class TooLargeError(Exception):
    """A compressed file expands to more than the limit; the text says so."""


class Budget:
    """The bytes that a compressed file may still expand to."""

    def __init__(self) -> None:
        self._left = MAX_INFLATED

    def take(self, size: int) -> None:
        """Count bytes.

        Raises:
            TooLargeError: the limit is exceeded.
        """
        self._left -= size
        if self._left < 0:
            raise TooLargeError(f"over {MAX_INFLATED >> 20} MiB when decompressed; unpack it and replay what is inside")


class Readable(Protocol):
    """An object that can be read."""

    def read(self, size: int, /) -> bytes:
        """Return at most this many bytes; none at the end."""


class Unpacked(io.RawIOBase):
    """The decompressed content of a file.

    Args:
        inner: the decompressing file.
        budget: the bytes that may be read.
    """

    def __init__(self, inner: Readable, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget
        self._out = 0

    def readable(self) -> bool:
        """Return True, as `BufferedReader` requires."""
        return True

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return self._out

    def readinto(self, target: object) -> int:
        """Fill a buffer."""
        view = memoryview(target)  # type: ignore[arg-type]
        data = self._inner.read(len(view))
        self._budget.take(len(data))
        view[: len(data)] = data
        self._out += len(data)
        return len(data)


class BoundedReader(io.BufferedReader):
    """A reader that never allocates more than `MAX_ENTRY` bytes at once, whatever length a file claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read.

        Raises:
            TooLargeError: more than `MAX_ENTRY` bytes are requested, or all.
        """
        if size is None or not 0 <= size <= MAX_ENTRY:
            raise TooLargeError(f"a part of it is over {MAX_ENTRY >> 20} MiB; unpack it and replay what is inside")
        return super().read(size)


class _Inflated:
    """A file that was compressed with zlib, as by mitmproxy's `save.har x.zhar`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inner = zlib.decompressobj()

    def read(self, size: int, /) -> bytes:
        """Return decompressed bytes."""
        while not self._inner.eof:
            data = self._inner.unconsumed_tail or self._file.read(CHUNK)
            if found := self._inner.decompress(data, size):
                return found
            if not data:
                raise EOFError("it is cut short")
        return b""


def zlib_file(file: BinaryIO) -> io.BufferedReader:
    """Open a file that is compressed with zlib."""
    return BoundedReader(Unpacked(_Inflated(file), Budget()), CHUNK)


def gzip_file(file: BinaryIO) -> io.BufferedReader:
    """Open a file that is compressed with gzip."""
    return BoundedReader(Unpacked(gzip.GzipFile(fileobj=file), Budget()), CHUNK)


class Archive:
    """A zip archive with one HAR file, and separate files with bodies that it refers to.

    Args:
        file: the archive.

    Raises:
        ValueError: there is not exactly one HAR file in it.
        zipfile.BadZipFile: it is damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file)
        self._budget = Budget()
        names = [name for name in self._zip.namelist() if name.lower().endswith(".har")]
        if HAR_NAME not in names and len(names) != 1:
            held = f"a zip archive with {len(names) or 'no'} HAR files instead of one"
            raise ValueError(f"{held}; unpack it, and replay each recording in it")
        self._name = HAR_NAME if HAR_NAME in names else names[0]
        self._folder = self._name[: self._name.rfind("/") + 1]
        self.size = max(1, self._zip.getinfo(self._name).file_size)

    def open(self) -> io.BufferedReader:
        """Open the HAR file."""
        return BoundedReader(Unpacked(self._zip.open(self._name), self._budget), CHUNK)

    def read(self, name: str) -> bytes:
        """Return the first bytes of a file beside the HAR file, see `har.attachments.Attachments`."""
        check_name(name)
        try:
            with self._zip.open(self._folder + name) as file:
                content = file.read(MAX_ATTACHED)
        except KeyError as error:
            raise AttachmentError("it is not in the archive") from error
        except DAMAGE as error:
            raise AttachmentError(f"it is damaged ({error})") from error
        self._budget.take(len(content))
        return content
