"""The room that SQLite needs to change its file, taken from the disk in advance.

A rollback journal that stays (`journal_mode=PERSIST`) and is filled with zeros beforehand is only ever written over, so
that a full disk can neither keep a batch from being removed nor leave a file that cannot be read.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

# Bytes: some sixty pages of 4 KiB, of which taking over, removing a batch and a step of tidying change far fewer.
JOURNAL_BYTES = 256 * 1024

_PIECE = bytes(32 * 1024)


def configure(db: sqlite3.Connection) -> None:
    """Set a new connection up; the first thing that is done with it, under the lock that keeps others from opening.

    The order matters: SQLite deletes the journal of a process that was killed when it is first read, unless the
    connection holds its locks at that time; `locking_mode=NORMAL` gives them back with the next statement.
    `secure_delete` would write all of a removed batch once more; Debian's SQLite has it on.
    """
    for pragma in (
        *("locking_mode = EXCLUSIVE", "auto_vacuum = INCREMENTAL", "journal_mode = PERSIST", "locking_mode = NORMAL"),
        *(
            "journal_size_limit = -1",
            "secure_delete = OFF",
            "mmap_size = 0",
            "temp_store = MEMORY",
            "synchronous = FULL",
        ),
    ):
        db.execute(f"PRAGMA {pragma}").fetchall()


def is_filled(journal: Path) -> bool:
    """Tell whether the journal has its room."""
    try:
        return journal.stat().st_size >= JOURNAL_BYTES
    except OSError:
        return False


def fill(db: sqlite3.Connection, journal: Path) -> None:
    """Fill the journal up with zeros, while nobody can write to it.

    Raises:
        sqlite3.Error: another process has the file locked.
        OSError: the disk has no room.
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
