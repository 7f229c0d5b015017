"""A file with one entry per line (NDJSON)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence

from akto_mirror import private_files
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.symptoms import Cause
from akto_mirror.escaping import printable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Seconds between two attempts to lock the file.
LOOK_S = 0.01

# Error numbers of file systems that do not support locks.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})


class FileSink:
    """Appends entries to a file, which is reopened for each batch so that rotation works.

    Processes that share a file write one after another.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._aborted = threading.Event()

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Append a batch; a partial write is undone if possible. The timeout limits the wait for other processes."""
        self._aborted.clear()
        try:
            file = private_files.open_to_append(self._path)
            try:
                self._append(file, b"".join(entry + b"\n" for entry in entries), self._clock() + timeout_s)
            finally:
                os.close(file)
        except OSError as error:
            wrong = f"cannot write {printable(self._path)}: {printable(error.strerror or str(error))}"
            return SendResult(None, wrong, cause=Cause.UNWRITABLE)
        return SendResult(200)

    def is_healthy(self, timeout_s: float) -> bool:
        """Return False: a file has no health check."""
        del timeout_s
        return False

    def abort(self) -> None:
        """End the wait for another process; a write waits for no other process."""
        self._aborted.set()

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _append(self, file: int, data: bytes, deadline: float) -> None:
        if stat.S_ISFIFO(os.fstat(file).st_mode):
            raise OSError(errno.ESPIPE, "it is a pipe, which a reader could stop")
        if fcntl is not None:
            self._lock(file, deadline)
        size = os.fstat(file).st_size
        _write(file, data if private_files.ends_a_line(file) else b"\n" + data, size)

    def _lock(self, file: int, deadline: float) -> None:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock() > deadline or self._aborted.wait(LOOK_S):
                    raise OSError(errno.EAGAIN, "another process keeps it locked") from None
            except OSError as error:
                if error.errno in NO_LOCKS:
                    return None
                raise


def _write(file: int, data: bytes, size: int) -> None:
    """Write everything; a partial write on a full disk is undone, so that a later attempt does not repeat it.

    It is not undone if another program has appended without a lock: a repeated line does less harm.
    """
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError:
        with contextlib.suppress(OSError):
            if os.fstat(file).st_size == size + len(data) - len(left):
                os.ftruncate(file, size)
        raise
