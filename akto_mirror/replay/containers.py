"""What recordings are packed in: gzip, zlib and zip archives, each read in pieces and only so far.

A small file can be made to become any size, so what it becomes is bounded in bytes, and so is what one read may hold.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from typing import BinaryIO, Protocol

from akto_mirror.replay.har.attachments import MAX_ATTACHED, AttachmentError, check_name

# What a packed recording may become, and the longest entry in it.
MAX_INFLATED = 2 * 1024**3
MAX_ENTRY = 128 * 1024**2

CHUNK = 64 * 1024

# What Playwright names the HAR file in an archive.
HAR_NAME = "har.har"

# What Python's modules raise where an archive is damaged, encrypted, or made by a method that they do not know.
DAMAGE = (zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, RuntimeError, NotImplementedError)


class TooLargeError(Exception):
    """More came out of a packed file than is read; the text says so."""


class Budget:
    """The bytes that may still come out of a packed file."""

    def __init__(self) -> None:
        self._left = MAX_INFLATED

    def take(self, size: int) -> None:
        """Count bytes.

        Raises:
            TooLargeError: they are too many.
        """
        self._left -= size
        if self._left < 0:
            raise TooLargeError(f"over {MAX_INFLATED >> 20} MiB when decompressed; unpack it and replay what is inside")


class Readable(Protocol):
    """What can be read."""

    def read(self, size: int, /) -> bytes:
        """Return at most this many bytes; none at the end."""


class Unpacked(io.RawIOBase):
    """What comes out of a packed file.

    Args:
        inner: the file that unpacks, by its `read`.
        budget: what may come out.
    """

    def __init__(self, inner: Readable, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget
        self._out = 0

    def readable(self) -> bool:
        """Return that it can be read, as BufferedReader asks."""
        return True

    def tell(self) -> int:
        """Return how many bytes have come out."""
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
    """A reader that allocates no more at once than an entry may have, whatever a file asks for."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read.

        Raises:
            TooLargeError: it is asked for too much.
        """
        if size is None or not 0 <= size <= MAX_ENTRY:
            raise TooLargeError(f"a part of it is over {MAX_ENTRY >> 20} MiB; unpack it and replay what is inside")
        return super().read(size)


class _Inflated:
    """A file that zlib compressed, as `save.har x.zhar` does."""

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
    """Open what zlib compressed."""
    return BoundedReader(Unpacked(_Inflated(file), Budget()), CHUNK)


def gzip_file(file: BinaryIO) -> io.BufferedReader:
    """Open what gzip compressed."""
    return BoundedReader(Unpacked(gzip.GzipFile(fileobj=file), Budget()), CHUNK)


class Archive:
    """A zip archive with one HAR file, and beside it in the archive the bodies that it names.

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
            raise ValueError(f"a zip archive with {len(names) or 'no'} HAR files; unpack it and replay one by one")
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
