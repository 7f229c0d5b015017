"""Delivery contract, lines 3 and 9: the journal, and what a killed process leaves in it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool import journal, rows
from akto_mirror.delivery.spool.journal import JOURNAL_BYTES, SYNCHRONOUS
from tests.faults.driver import Driver, ok
from tests.support.spools import BATCH, FILE, spool


@pytest.mark.parametrize("synchronous", [SYNCHRONOUS])
def test_what_is_confirmed_is_on_the_disk(tmp_path: Path) -> None:
    """Line 3: each connection has the settings that SQLite requires to survive a power failure."""
    mine = spool(tmp_path)
    for _ in range(2):
        mine.put(BATCH)
        assert mine._db
        full = 2  # The journal and the file are synced at each commit.
        assert mine._db.execute("PRAGMA synchronous").fetchone() == (full,)
        assert mine._db.execute("PRAGMA journal_mode").fetchone() == ("persist",)
        mine.close()


def killed(folder: Path) -> Path:
    """Leave a spool whose process was killed during a write, and return its journal."""
    (folder / "spool").mkdir(mode=0o700)
    with contextlib.closing(spool(folder / "running", "killed")) as mine:
        for number in range(20):
            mine.put([b"%d-%d" % (number, part) + b"x" * 400 for part in range(5)])
        with mine._transaction() as db:
            db.execute("PRAGMA cache_size = 1")
            assert sum(rows.delete(db, number) for number in range(3, 12)) == 9
            for path in (mine.file, mine._journal):
                shutil.copy(path, folder / "spool")
    return folder / "spool" / f"{FILE}-journal"


def test_what_a_killed_process_has_half_done_is_undone(tmp_path: Path) -> None:
    """Line 9: the next process rolls the write back, and keeps the journal's size."""
    left = killed(tmp_path)
    with contextlib.closing(sqlite3.connect(f"file:{left.with_name(FILE)}?immutable=1", uri=True)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() != ("ok",), "nothing was half done"
    mine = spool(tmp_path)
    assert sum(share.entries for share in mine.waiting()) == 100
    mine.close()
    assert (left.stat().st_size, left.read_bytes()[:8]) == (JOURNAL_BYTES, bytes(8))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255), cut=st.booleans())
def test_any_byte_of_the_journal_flipped(
    tmp_path_factory: pytest.TempPathFactory, where: float, value: int, cut: bool
) -> None:
    """Line 9: with any byte of a killed process's journal changed, no damaged entries are sent."""
    folder = tmp_path_factory.mktemp("journal")
    left = killed(folder)
    data = bytearray(left.read_bytes())
    used = len(data.rstrip(b"\0"))
    data[int(where * used)] ^= value
    left.write_bytes(data[: int(where * used)] if cut else data)
    driver = Driver(folder / "spool", Durability.DISK)
    driver.offer(b"new")
    driver.wait(60)  # The lease of the killed process has expired.
    driver.run(ok)
    sent = [entry for request in driver.requests for entry in request]
    assert b"new" in sent
    assert all(entry == b"new" or entry.endswith(b"x" * 400) for entry in sent), "damaged entries were sent"
    assert (driver.counts.missing, driver.counts.pending) == (0, 0)
    driver.close()


def test_the_room_is_filled_once(tmp_path: Path) -> None:
    """Line 3: the journal is filled up to its size, after a header of zeros; a larger one stays."""
    file = tmp_path / "a.db"
    part = tmp_path / "a.db-journal"
    assert not journal.is_filled(part)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        with journal.configuring(db):
            db.execute("CREATE TABLE entries (x)")
        journal.fill(db, part)
        assert journal.is_filled(part)
        assert (part.stat().st_size, part.read_bytes()[:8]) == (JOURNAL_BYTES, bytes(8))
        part.write_bytes(bytes(JOURNAL_BYTES + 1))
        journal.fill(db, part)
    assert part.stat().st_size == JOURNAL_BYTES + 1


def test_the_room_is_not_filled_while_another_process_writes(tmp_path: Path) -> None:
    """Line 9: another process's journal is not overwritten, because only it can roll back the change."""
    file = tmp_path / "a.db"
    with contextlib.ExitStack() as stack:
        mine, other = (
            stack.enter_context(contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=0)))
            for _ in range(2)
        )
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            journal.fill(mine, tmp_path / "a.db-journal")
    assert not (tmp_path / "a.db-journal").exists()
