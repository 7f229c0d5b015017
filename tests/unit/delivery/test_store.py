"""Delivery contract, lines 1 and 12: outcomes of single flows match the counts, also for batches that are lost."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from mitmproxy.test import tflow

from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.policy import Policy
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.delivery.store import Store
from akto_mirror.outcomes import Dropped, Outcome
from akto_mirror.telemetry import marks
from akto_mirror.telemetry.marks import VERDICT, Marks
from tests.faults.driver import Driver, always, ok

LIMITS = Limits(2, 100_000, 1.0)
DAMAGED = f"dropped ({Dropped.DAMAGED})"


def stocked(folder: Path, count: int = 6) -> Driver:
    """Return a delivery with entries on disk, in batches of two."""
    driver = Driver(folder, Durability.DISK, limits=LIMITS)
    for number in range(count):
        driver.offer(b"%d" % number)
    driver.clock.now += 2
    driver.tend()
    assert driver.counts.spooled == count
    assert driver.spool
    return driver


def last(driver: Driver) -> list[str]:
    """Return the last outcome of each entry."""
    return [driver.became(b"%d" % number)[-1] for number in range(6)]


def adds_up(driver: Driver) -> None:
    """Check that the outcomes of the entries match the counts."""
    shown = {entry: str(outcome) for entry, outcome, _ in driver.reported}
    ends = Counter(shown.values())
    counts = driver.counts
    assert ends[Outcome.DROPPED] == sum(counts.dropped.values())
    assert ends[Outcome.HANDED_OVER] == counts.handed_over
    assert ends[Outcome.SHIPPED] == counts.shipped
    assert ends[Outcome.SPOOLED] == counts.spooled


def without_its_file(folder: Path) -> Driver:
    """Return a delivery whose file is removed during an attempt, with a new entry in a new file."""
    driver = stocked(folder)
    assert driver.begin()
    shutil.rmtree(folder)
    driver.offer(b"x")
    driver.queue.flush()
    driver.tend()
    return driver


def test_a_file_that_is_set_aside(tmp_path: Path) -> None:
    """Line 12: entries in a file that is set aside are dropped, except for the batch that is being sent."""
    driver = without_its_file(tmp_path / "s")
    driver.finish(ok)
    assert last(driver) == ["shipped"] * 2 + [DAMAGED] * 4
    adds_up(driver)


def test_what_was_being_sent_when_its_file_went(tmp_path: Path) -> None:
    """Line 12: a failed batch whose file was removed is spooled to the next file, until it is shipped."""
    driver = without_its_file(tmp_path / "s")
    driver.finish(always(503))
    assert last(driver) == ["spooled (503)"] * 2 + [DAMAGED] * 4
    adds_up(driver)
    driver.run(ok)
    assert last(driver)[:2] == ["shipped"] * 2


def test_a_batch_that_is_damaged(tmp_path: Path) -> None:
    """Line 12: exactly the entries of the damaged batch are dropped."""
    driver = stocked(tmp_path / "s")
    assert driver.spool
    with contextlib.closing(sqlite3.connect(driver.spool.file, isolation_level=None)) as db:
        db.execute("UPDATE payloads SET payload = 'x' WHERE id = 2")
    driver.run(ok)
    assert last(driver) == ["shipped", "shipped", DAMAGED, DAMAGED, "shipped", "shipped"]
    adds_up(driver)


def test_what_a_person_takes_out(tmp_path: Path) -> None:
    """Line 12: entries that a user redirected are handed over."""
    driver = stocked(tmp_path / "s")
    assert driver.begin()
    user = Spool(tmp_path / "s", target="t", limit=10**6, owner="user")
    assert user.redirect("t", "u") == 6
    user.close()
    driver.finish(ok)
    driver.wait(20)
    assert last(driver) == ["shipped"] * 2 + ["handed over"] * 4
    adds_up(driver)


def test_what_another_process_takes_over(tmp_path: Path) -> None:
    """Line 12: entries that another process took over from a sleeping one are handed over."""
    driver = stocked(tmp_path / "s")
    other = Driver(tmp_path / "s", Durability.DISK, clock=driver.clock)
    other.wait(60)
    other.run(ok)
    driver.wait(20)
    assert last(driver) == ["handed over"] * 6
    adds_up(driver)


def test_another_spool(tmp_path: Path) -> None:
    """Line 12: after a change of folder or durability, entries on the old disk are handed over."""
    driver = stocked(tmp_path / "s")
    driver.scheduler.reconfigure(Policy(LIMITS, 1, 1, 1), Store(None, driver.stats), driver.clock.now)
    assert last(driver) == ["handed over"] * 6
    assert driver.counts.handed_over == 6


def test_a_flow_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 12: a flow is also found by its entry's hash, and its verdict is final."""
    monkeypatch.setattr(marks, "PAUSE_S", 0)
    turns = []
    shown = Marks(lambda _, turn: turns.append(turn), lambda _: None)
    flow, entry = tflow.tflow(resp=True), b"entry"
    shown.follow(flow, entry)
    for key, outcome in ((entry, Outcome.SPOOLED), (hash(entry), Outcome.HANDED_OVER), (entry, Outcome.SHIPPED)):
        shown.update([key], outcome)
        turns.pop()()
    assert flow.metadata[VERDICT] == "handed over"
    assert flow.comment == "handed over"
