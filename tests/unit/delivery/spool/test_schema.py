"""Delivery contract, line 8: names of the spool's files, and this version's own file."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from akto_mirror.delivery.spool import schema
from akto_mirror.delivery.spool.schema import FIRST, VERSION
from tests.support.spools import FILE

TIMEOUT_S = 1.0


def database(file: Path, version: int) -> Path:
    """Create a database of a version, and return its path."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("CREATE TABLE entries (x)")
    return file


@pytest.mark.parametrize(
    ("name", "version"),
    [
        *[(FIRST, 1), (FILE, VERSION), ("spool-2.7.db", 2), ("spool-12.db", 12)],
        *[(name, 0) for name in ("spool-2.db-journal", "my-spool.db", "spool-x.db", "spool-.db", "damaged-1.db")],
    ],
)
def test_a_name_says_its_version(name: str, version: int) -> None:
    """Line 8: the version is in the names of the spool's files; other names have none."""
    assert schema.version_of(name) == version


def test_a_name_that_a_newer_format_has_taken_is_left_to_it(tmp_path: Path) -> None:
    """Line 8: if a newer version uses the name, the next name is used; an unreadable file does not count as newer."""
    assert schema.own_file(tmp_path, TIMEOUT_S) == tmp_path / FILE
    database(tmp_path / FILE, VERSION)
    assert schema.own_file(tmp_path, TIMEOUT_S) == tmp_path / FILE
    (tmp_path / FILE).write_bytes(b"my diary" * 1000)
    assert schema.own_file(tmp_path, TIMEOUT_S) == tmp_path / FILE
    (tmp_path / FILE).unlink()
    taken = database(tmp_path / FILE, VERSION + 1)
    own = schema.own_file(tmp_path, TIMEOUT_S)
    assert own == tmp_path / list(schema.names())[1]
    later = database(tmp_path / f"spool-{VERSION + 3}.db", VERSION + 3)
    assert schema.newer_files(tmp_path, own) == [taken, later]
    assert schema.newer_files(tmp_path / "none", tmp_path / "none" / FILE) == []


def test_to_look_changes_nothing(tmp_path: Path) -> None:
    """Line 8: reading changes no file and creates none; damaged text is decoded as far as possible."""
    file = database(tmp_path / FILE, VERSION)
    before = file.read_bytes()
    with contextlib.closing(schema.reader(file, TIMEOUT_S)) as db:
        assert db.execute("SELECT CAST(x'61FF' AS TEXT)").fetchone() == ("a\ufffd",)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("DELETE FROM entries")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
