"""The errors of the spool's file, made from SQLite's and the operating system's."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from akto_mirror.escaping import printable

# Result codes (https://sqlite.org/rescode.html) of errors that may be temporary. As the statements here are fixed, any
# other code means that the file is damaged.
PASSING = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    }
)

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})

# A disk with less free space than this counts as full when SQLite reports another error: file systems that copy on
# write need space for every change, and without it they return various errors.
NEARLY_FULL = 128 * 1024


class SpoolError(Exception):
    """The spool cannot be used now; the text says why."""


class NothingError(SpoolError):
    """There is no file, or a process was killed before it created the tables."""


class SpoolBusy(SpoolError):  # noqa: N818 - the lock of another process, not an error
    """Another process has kept the file locked for longer than this one waits."""


class SpoolFull(SpoolError):  # noqa: N818 - a bound that is reached, not an error
    """The limit of the spool's bytes is reached."""


class NoSpaceError(SpoolError):
    """The disk itself is full."""


class SpoolDamaged(SpoolError):  # noqa: N818 - the file is, not the call
    """The file is damaged and should be set aside."""


def of_sqlite(error: sqlite3.Error, file: Path) -> SpoolError:
    """Return the spool's error for one of SQLite's.

    While the disk is full no file counts as damaged: it may be readable again once there is space.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    text = f"{file}: {in_words(error)}"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return SpoolBusy(text)
    if code == sqlite3.SQLITE_FULL or is_nearly_full(file.parent):
        return NoSpaceError(text)
    damaged = _is_writable(file) if code == sqlite3.SQLITE_READONLY else code not in PASSING
    return SpoolDamaged(f"{file} is damaged: {in_words(error)}") if damaged else SpoolError(text)


def of_system(error: OSError, text: str) -> SpoolError:
    """Return the spool's error for one of the operating system's, with `text` before it."""
    kind = SpoolBusy if isinstance(error, BlockingIOError) else SpoolError
    return (NoSpaceError if error.errno in NO_SPACE else kind)(f"{text}{in_words(error)}")


def of_value(error: Exception, file: Path) -> SpoolError:
    """Return the spool's error for an invalid value in the file."""
    if is_nearly_full(file.parent):
        return NoSpaceError(f"{file}: {in_words(error)}")
    return SpoolDamaged(f"{file} is damaged: {in_words(error)}")


def is_nearly_full(folder: Path) -> bool:
    """Return whether a folder's disk has hardly any free space."""
    try:
        return shutil.disk_usage(folder).free < NEARLY_FULL
    except OSError:
        return False


def _is_writable(file: Path) -> bool:
    """Return whether the operating system allows writing: SQLite also reports a damaged header as read-only."""
    try:
        read_only = hasattr(os, "statvfs") and os.statvfs(file).f_flag & os.ST_RDONLY
    except OSError:
        return False
    return not read_only and os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def in_words(error: BaseException) -> str:
    """Return an error's text as one printable line."""
    return printable(f"{type(error).__name__}: {error}")
