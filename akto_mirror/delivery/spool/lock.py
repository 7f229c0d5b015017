"""The lock under which the spool's files are opened and renamed, and the renaming of a damaged one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from akto_mirror.delivery.spool.schema import BESIDE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# The longest wait for another process that writes, in seconds, and the longest one when the spool is opened or set
# aside, which needs the lock of others only then.
LOCK_S = 2.0
OPEN_S = 5.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from opening the spool or setting it aside at the same time.

    Raises:
        BlockingIOError: another one does for too long.
        OSError: the lock's file cannot be used.
    """
    if fcntl is None:
        yield
        return
    file = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        _lock(file, time.monotonic() + OPEN_S)
        yield
    finally:
        os.close(file)


def _lock(file: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def identity(file: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from a later one of the same name; None if there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def rename_damaged(file: Path, now: float) -> Path:
    """Rename a file, and first what belongs to it; returns the new name.

    Args:
        file: a database.
        now: epoch seconds, for the name.

    Raises:
        OSError: it cannot be renamed.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    aside = file.with_name(f"damaged-{stamp}-{os.getpid()}-{file.stat().st_ino}.db")
    for end in (*BESIDE, ""):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{file}{end}").rename(f"{aside}{end}")
    return aside
