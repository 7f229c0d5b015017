"""A file of one entry a line (NDJSON)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from akto_mirror import private, retry
from akto_mirror.sinks.base import SendResult
from akto_mirror.text import printable


class FileSink:
    """Appends entries to a file, which it opens anew for each batch, so that rotation works."""

    def __init__(self, path: str) -> None:
        self._path = path

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Append a batch, wholly or not at all."""
        del timeout_s
        try:
            file = private.open_to_append(self._path)
            try:
                _append(file, b"".join(entry + b"\n" for entry in entries))
            finally:
                os.close(file)
        except OSError as fault:
            return SendResult(
                None, f"{retry.UNWRITABLE} {printable(self._path)}: {printable(fault.strerror or str(fault))}"
            )
        return SendResult(200)

    def is_healthy(self, timeout_s: float) -> bool:
        """Tell that a file has no health of its own."""
        del timeout_s
        return False

    def abort(self) -> None:
        """Do nothing: a write to a file does not wait for a stranger."""

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _append(file: int, data: bytes) -> None:
    """Write all; what a full disk took of it is taken back, so that a later try does not repeat it."""
    found = os.fstat(file)
    if stat.S_ISFIFO(found.st_mode):
        raise OSError(errno.ESPIPE, "it is a pipe, which a reader could stop")
    size = found.st_size
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError:
        os.ftruncate(file, size)
        raise
