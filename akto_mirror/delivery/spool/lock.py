"""The lock for opening and renaming the spool's files, and the renaming of damaged ones."""

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

# The longest wait, in seconds, for another process that is writing, and for one that is opening the spool or setting it
# aside.
LOCK_S = 2.0
OPEN_S = 5.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Prevent other processes from opening the spool or setting it aside at the same time.

    Raises:
        BlockingIOError: another process has held the lock for too long.
        OSError: the lock file cannot be used.
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
    """Return an identifier that differs from that of a later file with the same name; None if there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def rename_damaged(file: Path, now: float) -> Path:
    """Rename a file, and before it its journal; returns the new name.

    Args:
        file: the database.
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
