"""Preallocates the journal, the disk space that SQLite needs for changing its file.

A rollback journal that is kept (`journal_mode=PERSIST`) and filled with zeros in advance is only overwritten, so that a
full disk can neither prevent a batch from being removed nor leave an unreadable file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Bytes: some sixty pages of 4 KiB; taking over, removing a batch and a step of tidying change far fewer.
JOURNAL_BYTES = 256 * 1024

# A committed transaction is on the disk, even after a power failure.
SYNCHRONOUS = "FULL"

_PIECE = bytes(32 * 1024)


@contextmanager
def configuring(db: sqlite3.Connection) -> Iterator[None]:
    """Configure a new connection, before its first use and under the lock that keeps others from opening the file.

    Meanwhile the connection keeps its read lock, so that it waits for writers only once. Only a new file may be written
    then: any other may be locked by a process that waits for this one's lock in turn.

    The order matters: on the first read, SQLite deletes the journal of a process that was killed, unless the connection
    holds its locks at that time; `locking_mode=NORMAL` releases them with the next statement. `secure_delete`, which is
    on in Debian's SQLite, would overwrite every removed batch.
    """
    _set(db, "locking_mode = EXCLUSIVE", "journal_mode = PERSIST", "journal_size_limit = -1", "secure_delete = OFF")
    _set(db, "mmap_size = 0", "temp_store = MEMORY", f"synchronous = {SYNCHRONOUS}")
    if not db.execute("PRAGMA page_count").fetchone()[0]:
        _set(db, "auto_vacuum = INCREMENTAL")
    yield
    _set(db, "locking_mode = NORMAL")
    db.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()


def _set(db: sqlite3.Connection, *pragmas: str) -> None:
    for pragma in pragmas:
        db.execute(f"PRAGMA {pragma}").fetchall()


def is_filled(journal: Path) -> bool:
    """Return whether the journal has its full size."""
    try:
        return journal.stat().st_size >= JOURNAL_BYTES
    except OSError:
        return False


def fill(db: sqlite3.Connection, journal: Path) -> None:
    """Fill the journal with zeros, while no process can write to it.

    Raises:
        sqlite3.Error: another process has the file locked.
        OSError: the disk is full.
    """
    db.execute("BEGIN EXCLUSIVE")
    try:
        _fill(journal)
    finally:
        db.execute("COMMIT")


def _fill(journal: Path) -> None:
    flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    file = os.open(journal, flags, 0o600)
    try:
        while (left := JOURNAL_BYTES - os.fstat(file).st_size) > 0:
            os.write(file, _PIECE[:left])
        os.fsync(file)
    finally:
        os.close(file)
