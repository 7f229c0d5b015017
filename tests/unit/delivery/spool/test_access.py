"""Delivery contract, line 9: pauses after errors of the disk, and what is logged."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool.access import BUSY_S, FULL_LINE_S, FULL_RETRY_S, RETRY_S, Access
from akto_mirror.delivery.spool.errors import NoSpaceError, SpoolBusy, SpoolError, SpoolFull
from tests.faults.driver import Driver, ok


@pytest.mark.parametrize("waits", [1, 4])
def test_a_short_lock_is_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, waits: int
) -> None:
    """Line 9: a file that another process locks is tried again within seconds, and logged once if the lock lasts."""
    monkeypatch.setattr("akto_mirror.delivery.spool.lock.LOCK_S", 0.01)
    driver = Driver(tmp_path / "spool", Durability.DISK)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.spool
    with contextlib.closing(sqlite3.connect(driver.spool.file, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        driver.offer(b"two")
        driver.clock.now += 2
        for _ in range(waits):
            assert driver.store.can_keep(driver.clock.now)
            driver.tend()
            driver.clock.now += driver.store.keeps_in(driver.clock.now)
    assert driver.clock.now <= 1004 + BUSY_S * (2**waits - 1)
    driver.tend()
    assert (driver.counts.spooled, driver.counts.missing) == (2, 0)
    logged = [record.getMessage() for record in caplog.records if "cannot be used" in record.getMessage()]
    assert ["locked" in text for text in logged] == [True] * (waits > 1)
    driver.run(ok)
    assert sorted(entry for request in driver.requests for entry in request) == [b"one", b"two"]


def test_a_full_spool_is_still_read() -> None:
    """Line 2: nothing is written to a full spool until something is sent, or for some seconds; it is still read."""
    access = Access()
    access.failed(SpoolFull("full"), 100, is_large=True)
    assert (access.usable_in(100), access.keeps_in(100)) == (0, FULL_RETRY_S)
    access.has_room()
    assert access.keeps_in(100) == 0


def test_a_full_spool_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """Line 2: a spool that drains under traffic is full again after each batch that leaves it."""
    access = Access()
    for now in (100.0, 101.0, 100 + FULL_LINE_S - 1, 100 + FULL_LINE_S):
        access.failed(SpoolFull("full"), now, is_large=True)
        access.has_room()
    line = "akto: full (akto_spool_bytes); entries stay in memory until there is room again"
    assert [record.getMessage() for record in caplog.records] == [line, line]


@pytest.mark.parametrize(("is_large", "usable_in"), [(True, 0), (False, FULL_RETRY_S)])
def test_a_full_disk_may_still_be_read(is_large: bool, usable_in: float) -> None:
    """Line 9: a full disk is still read, unless even a small change had no space."""
    access = Access()
    access.failed(NoSpaceError("no room"), 100, is_large=is_large)
    assert (access.usable_in(100), access.keeps_in(100)) == (usable_in, RETRY_S)


def test_a_disk_in_trouble_is_left_alone_unless_there_is_no_choice() -> None:
    """Line 9: after an error the disk is not used for a pause, but it is tried at exit in any case."""
    access = Access()
    access.failed(SpoolError("broken"), 100, is_large=True)
    assert (access.usable_in(100), access.keeps_in(110)) == (RETRY_S, RETRY_S - 10)
    assert access.usable_in(100 + RETRY_S) == 0
    access.insist()
    assert access.keeps_in(100) == 0


def test_trouble_is_logged_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Line 9: an error and the recovery are logged once each; a small write that succeeds is no recovery."""
    caplog.set_level("INFO")
    access = Access()
    for now in (100, 200):
        access.failed(SpoolError("broken"), now, is_large=True)
    access.passed(is_large=False)
    for _ in range(2):
        access.passed(is_large=True)
    assert [record.getMessage() for record in caplog.records] == [
        "akto: the spool cannot be used: broken; entries stay in memory meanwhile",
        "akto: the spool works again",
    ]


def test_waits_for_a_lock_grow_and_have_a_bound() -> None:
    """Line 9: pauses double while the lock lasts, up to the pause after other errors, and then start again."""
    access, waits = Access(), list[float]()
    for _ in range(8):
        access.failed(SpoolBusy("locked"), 0, is_large=True)
        waits.append(access.usable_in(0))
    assert waits[:3] == [BUSY_S, 2 * BUSY_S, 4 * BUSY_S]
    assert waits[-1] == RETRY_S
    access.passed(is_large=True)
    access.failed(SpoolBusy("locked"), 0, is_large=True)
    assert access.usable_in(0) == BUSY_S
