"""Delivery contract, line 8: a session, one process's batches for one target, is taken over as a whole."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool import rows, sessions
from akto_mirror.delivery.spool.schema import FREE, SCHEMA
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.delivery.store import Store
from tests.faults.driver import Clock, Driver, ok
from tests.support.spools import BATCH, spool


@pytest.mark.parametrize("inherits", [True, False])
def test_however_much_is_taken_over_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, inherits: bool) -> None:
    """Line 8: taking over or redirecting many batches writes little, and is logged once."""
    caplog.set_level("INFO")
    clock = Clock()
    first, second = spool(tmp_path, "first", clock=clock), spool(tmp_path, "second", clock=clock)
    mine = second if inherits else first
    store = Store(mine, Stats())
    for _ in range(2000):
        first.put([b"x" * 100])
    store.beat(clock.now)
    if inherits:
        first.release()
        clock.now += 10
    else:
        store.retarget("u", clock.now)
    before = written(mine)
    store.beat(clock.now)
    assert written(mine) - before < 30 * 4096
    assert mine.owned() == 2000
    assert store._stats.snapshot().recovered == 2000
    logged = [record.getMessage() for record in caplog.records if "took over" in record.getMessage()]
    assert logged == ["akto: took over 2,000 entries from the spool"] * inherits


def written(mine: Spool) -> int:
    """Return the bytes that this thread has written so far."""
    mine.owned()
    found = re.search(r"^wchar: (\d+)", Path("/proc/thread-self/io").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_released_batch_is_free_at_once(tmp_path: Path) -> None:
    """Line 8: batches of a process that ended in good order are taken over at once."""
    mine, other = spool(tmp_path, "me"), spool(tmp_path, "other")
    mine.put(BATCH)
    mine.release()
    assert other.adopt() == 3


def test_another_targets_batches_are_left_alone(tmp_path: Path) -> None:
    """Line 8: batches for one Akto are not sent to another."""
    mine = spool(tmp_path)
    mine.put(BATCH)
    mine.release()
    other = Spool(tmp_path / "spool", target="elsewhere", limit=10**6, owner="other")
    assert other.adopt() == 0
    assert [(share.target, share.entries) for share in other.waiting()] == [("t", 3)]


def test_a_stalled_owner_learns_of_it(tmp_path: Path) -> None:
    """Line 8: batches that were taken over from a process that only slept are not its own any more, and counted so."""
    clock = Clock()
    first = Driver(tmp_path / "spool", Durability.DISK, clock=clock)
    first.offer(b"entry")
    clock.now += 2
    first.tend()
    second = Driver(tmp_path / "spool", Durability.DISK, clock=clock)
    second.wait(60)
    second.run(ok)
    first.run(ok)
    assert (second.counts.recovered, second.counts.shipped) == (1, 1)
    assert (first.counts.handed_over, first.counts.shipped, first.counts.missing) == (1, 0, 0)
    assert first.requests == []


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """Return an empty spool in memory."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript(SCHEMA)
        yield made


def store(db: sqlite3.Connection, holder: str, target: str, *batches: bytes) -> list[int]:
    """Store batches, and return their ids."""
    return [rows.insert(db, sessions.own(db, holder, target), 1.0, batch) for batch in batches]


def test_a_process_has_one_session_for_a_target(db: sqlite3.Connection) -> None:
    """Line 8: a session begins with the first batch, and later batches join it."""
    assert sessions.newest(db, "me", "t") is None
    first = sessions.own(db, "me", "t")
    assert (sessions.own(db, "me", "t"), sessions.newest(db, "me", "t")) == (first, first)
    assert sessions.own(db, "me", "u") != first
    assert sessions.begin(db, "me", "t") > first


def test_only_others_signs_are_watched(db: sqlite3.Connection) -> None:
    """Line 8: heartbeats of this process and of free sessions are not watched."""
    for holder in ("me", "other", FREE):
        store(db, holder, "t", b"x")
    before = sessions.signs(db, "me")
    sessions.beat(db, "other")
    after = sessions.signs(db, "me")
    assert before.keys() == after.keys() == {"other"}
    assert after["other"] == before["other"] + 1


def test_what_is_taken_over_is_free_or_of_the_dead(db: sqlite3.Connection) -> None:
    """Line 8: free and dead sessions for the target are taken over, and this process's sessions get the new target."""
    held = store(db, "me", "old", b"0")
    free, dead = store(db, FREE, "t", b"1\n2"), store(db, "dead", "t", b"3")
    store(db, "alive", "t", b"4")
    store(db, FREE, "u", b"5")
    assert sorted(sessions.take_over(db, "me", "t", ["dead"]).values()) == [1, 2]
    assert sessions.batches(db, "me") == {*held, *free, *dead}
    assert sessions.entries(db, "me") == 4
    assert sessions.entries(db, "me", f"[{free[0]}]") == 2
    assert rows.waiting_for(db, "old") == {}
    assert (sessions.holds(db, "me", dead[0]), sessions.holds(db, "alive", dead[0])) == (True, False)


def test_of_what_the_dead_leave_one_batch_each_is_in_doubt(db: sqlite3.Connection) -> None:
    """Line 8: each dead process may have been sending its largest batch, unless it ended in good order."""
    store(db, "dead", "t", b"1", b"2\n3\n4")
    sessions.begin(db, "dead", "t")
    store(db, "dead", "t", b"5\n6")
    store(db, "dead", "u", b"7\n8\n9\n10")
    store(db, "dead too", "t", b"11\n12")
    store(db, FREE, "t", b"13\n14")
    assert sessions.in_doubt(db, "t", ["dead", "dead too"]) == 3 + 2
    assert sessions.in_doubt(db, "t", []) == 0


def test_what_the_dead_may_have_sent_is_counted(tmp_path: Path) -> None:
    """Line 8: entries in doubt are counted once, by the process that takes over; an orderly end leaves none."""
    clock = Clock()
    spool(tmp_path, "killed", clock=clock).put_all([BATCH, BATCH[:2]])
    second = Driver(tmp_path / "spool", Durability.DISK, clock=clock)
    second.wait(60)
    assert (second.counts.recovered, second.counts.doubtful) == (5, 3)
    second.close()
    third = Driver(tmp_path / "spool", Durability.DISK, clock=clock)
    third.wait(60)
    assert (third.counts.recovered, third.counts.doubtful) == (5, 0)


def test_an_empty_session_is_not_left_behind(db: sqlite3.Connection) -> None:
    """Line 8: releasing frees the sessions with batches, and removes empty ones."""
    sessions.own(db, "me", "u")
    (batch,) = store(db, "me", "t", b"x")
    sessions.release(db, "me")
    assert db.execute("SELECT holder, target FROM sessions").fetchall() == [(FREE, "t")]
    assert sessions.holds(db, FREE, batch)


def test_a_redirect_frees_what_it_redirects(db: sqlite3.Connection) -> None:
    """Line 8: redirected batches are free for any process that sends to the new target."""
    store(db, "me", "t", b"1\n2", b"3")
    assert sessions.redirect(db, "t", "u") == 3
    assert sessions.redirect(db, "t", "u") == 0
    assert sessions.take_over(db, "other", "u", []).values()
    assert sessions.entries(db, "other") == 3
