"""Delivery contract, lines 8 and 9: the lock for opening and renaming files, and SQLite's locks."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool import lock
from akto_mirror.delivery.spool.errors import SpoolBusy, SpoolDamaged
from akto_mirror.delivery.spool.lock import LOCK_S
from tests.faults.driver import Driver, ok
from tests.support.spools import BATCH, FILE, spool


def test_two_processes_set_aside_once(tmp_path: Path) -> None:
    """Line 9: of two processes that find a file damaged one renames it, and neither touches the new one."""
    first, second = spool(tmp_path, "first"), spool(tmp_path, "second")
    first.put(BATCH)
    assert second.next([]) is None
    assert first.set_aside()
    first.put(BATCH)
    with pytest.raises(SpoolDamaged):
        second.next([])
    assert second.set_aside() is None
    assert first.next([])
    assert len([path for path in (tmp_path / "spool").iterdir() if path.suffix == ".db"]) == 2


def test_a_locked_file(tmp_path: Path) -> None:
    """Line 9: a file that another process keeps locked is an error that may pass, not damage."""
    driver = Driver(tmp_path / "spool", Durability.DISK)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.spool
    blocker = sqlite3.connect(driver.spool.file, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    driver.offer(b"two")
    driver.clock.now += 2
    driver.tend()
    assert (driver.counts.spooled, driver.counts.queued) == (1, 1)
    driver.run(ok, seconds=20)
    assert driver.requests == [[b"two"]]
    blocker.execute("ROLLBACK")
    blocker.close()
    driver.run(ok)
    assert driver.requests == [[b"two"], [b"one"]]
    assert driver.counts.missing == 0


def test_a_spool_is_opened_beside_a_writer(tmp_path: Path) -> None:
    """Line 9: opening a spool writes nothing, so that it does not wait for another process's write."""
    mine = spool(tmp_path)
    mine.put(BATCH)
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None, timeout=0)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM payloads")
        started = time.monotonic()
        with contextlib.closing(spool(tmp_path, "looker")) as looker:
            assert [share.entries for share in looker.waiting()] == [3]
        assert time.monotonic() - started < LOCK_S
        writer.execute("COMMIT")


def test_opening_waits_for_a_lock_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 9: opening waits longer than a change takes, but not forever."""
    monkeypatch.setattr("akto_mirror.delivery.spool.lock.OPEN_S", 0.01)
    mine = spool(tmp_path)
    mine.put(BATCH)
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SpoolBusy):
            spool(tmp_path, "looker").waiting()
    monkeypatch.undo()
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        threading.Timer(LOCK_S / 10, lambda: writer.execute("COMMIT")).start()
        with contextlib.closing(spool(tmp_path, "looker")) as looker:
            assert [share.entries for share in looker.waiting()] == [3]


def test_the_lock_excludes_others_while_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 8: a second process waits up to a bound, and gets the lock when the first ends, even with an error."""
    monkeypatch.setattr("akto_mirror.delivery.spool.lock.OPEN_S", 0.01)
    with contextlib.suppress(ZeroDivisionError), lock.locked(tmp_path):
        with pytest.raises(BlockingIOError), lock.locked(tmp_path):
            pytest.fail("two have the lock")
        raise ZeroDivisionError
    with lock.locked(tmp_path):
        assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o600


def test_a_later_file_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    """Line 9: a process notices that its open file was set aside."""
    file, later = tmp_path / "a", tmp_path / "b"
    assert lock.identity(file) is None
    file.write_bytes(b"1")
    later.write_bytes(b"2")
    before = lock.identity(file)
    file.write_bytes(b"more")
    assert lock.identity(file) == before
    later.rename(file)
    assert lock.identity(file) != before


def test_a_file_is_renamed_with_what_belongs_to_it(tmp_path: Path) -> None:
    """Line 9: the journal is renamed together with its file; the name has the time."""
    file = tmp_path / FILE
    file.write_bytes(b"file")
    Path(f"{file}-journal").write_bytes(b"journal")
    aside = lock.rename_damaged(file, 0)
    assert aside.name.startswith("damaged-19700101-000000-")
    assert (aside.read_bytes(), Path(f"{aside}-journal").read_bytes()) == (b"file", b"journal")
    assert len(list(tmp_path.iterdir())) == 2
