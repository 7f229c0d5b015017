"""Delivery contract, line 9: errors that mean a damaged file, and errors that may pass."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from pathlib import Path

import pytest

from akto_mirror.delivery.spool import errors
from akto_mirror.delivery.spool.errors import NoSpaceError, SpoolBusy, SpoolDamaged, SpoolError


def of_code(code: int, file: Path) -> SpoolError:
    """Return the error for a result code of SQLite."""
    error = sqlite3.OperationalError("it says so")
    error.sqlite_errorcode = code
    return errors.of_sqlite(error, file)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, SpoolBusy),
        (sqlite3.SQLITE_BUSY_RECOVERY, SpoolBusy),
        (sqlite3.SQLITE_LOCKED, SpoolBusy),
        (sqlite3.SQLITE_FULL, NoSpaceError),
        (sqlite3.SQLITE_IOERR_FSYNC, SpoolError),
        (sqlite3.SQLITE_CANTOPEN, SpoolError),
        (sqlite3.SQLITE_CORRUPT, SpoolDamaged),
        (sqlite3.SQLITE_NOTADB, SpoolDamaged),
        (sqlite3.SQLITE_READONLY, SpoolDamaged),
        (sqlite3.SQLITE_ERROR, SpoolDamaged),
    ],
)
def test_what_sqlite_reports(tmp_path: Path, code: int, kind: type[SpoolError]) -> None:
    """Line 9: only errors that cannot pass mean damage; "read-only" does if the file can be written."""
    file = tmp_path / "a.db"
    file.touch()
    found = of_code(code, file)
    assert type(found) is kind
    assert str(file) in str(found)


def test_a_missing_file_is_not_a_damaged_one(tmp_path: Path) -> None:
    """Line 9: a missing file is not damaged, because a disk may come back."""
    assert type(of_code(sqlite3.SQLITE_READONLY, tmp_path / "gone" / "a.db")) is SpoolError


def test_nothing_is_damaged_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 9: on a full disk no file counts as damaged, because it may be readable once there is space."""
    monkeypatch.setattr(errors, "NEARLY_FULL", 2**63)
    assert type(of_code(sqlite3.SQLITE_CORRUPT, tmp_path / "a.db")) is NoSpaceError
    assert type(errors.of_value(ValueError("x"), tmp_path / "a.db")) is NoSpaceError
    assert not errors.is_nearly_full(tmp_path / "gone")


def test_a_real_lock_and_a_real_diary(tmp_path: Path) -> None:
    """Line 9: SQLite's errors for a lock and for a file that is not a database have the expected codes."""
    file = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            contextlib.closing(sqlite3.connect(file, timeout=0)) as mine,
            pytest.raises(sqlite3.Error) as locked,
        ):
            mine.execute("SELECT * FROM sqlite_master")
    (tmp_path / "b.db").write_bytes(b"my diary" * 1000)
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "b.db")) as mine,
        pytest.raises(sqlite3.Error) as damaged,
    ):
        mine.execute("SELECT * FROM sqlite_master")
    assert type(errors.of_sqlite(locked.value, file)) is SpoolBusy
    assert type(errors.of_sqlite(damaged.value, tmp_path / "b.db")) is SpoolDamaged


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, NoSpaceError), (errno.EDQUOT, NoSpaceError), (errno.EAGAIN, SpoolBusy), (errno.EIO, SpoolError)],
)
def test_what_the_system_reports(number: int, kind: type[SpoolError]) -> None:
    """Line 9: an exceeded quota is treated as a full disk, and the text is one printable line."""
    found = errors.of_system(OSError(number, "bad\nnews"), "folder: ")
    assert type(found) is kind
    assert str(found).startswith("folder: ")
    assert str(found).isprintable()
