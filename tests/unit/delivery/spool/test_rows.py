"""Delivery contract, line 9: rows of batches and dead letters that were damaged."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool import rows, sessions
from akto_mirror.delivery.spool.schema import FREE, SCHEMA
from akto_mirror.outcomes import Rejected
from tests.faults.driver import Driver, ok
from tests.support.spools import BATCH, spool


@pytest.mark.parametrize("damage", ["'text'", "42"])
def test_a_damaged_dead_letter_is_not_in_the_way(tmp_path: Path, damage: str) -> None:
    """Line 9: a damaged dead letter does not keep the others from being sent again."""
    mine = spool(tmp_path)
    assert mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH]) == 3
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None)) as db:
        db.execute(f"UPDATE dead SET payload = {damage} WHERE id = 1")
    assert mine.revive() == 3
    assert mine.adopt() == 3
    assert mine.dead_letters() == []


def test_a_damaged_size_keeps_nothing_from_being_taken_over(tmp_path: Path) -> None:
    """Line 9: a batch with intact entries is taken over and sent, even if its size is damaged."""
    first, second = spool(tmp_path, "first"), spool(tmp_path, "second")
    first.put(BATCH)
    first.release()
    with contextlib.closing(sqlite3.connect(first.file, isolation_level=None)) as db:
        db.execute("UPDATE batches SET size = 'much'")
    assert second.adopt() == 3
    assert second.redirect("t", "u") == 3


def test_a_damaged_batch_is_kept_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Line 9: a damaged batch is not sent but kept, which is logged, and the others are sent."""
    driver = Driver(tmp_path / "spool", Durability.DISK)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.spool
    with sqlite3.connect(driver.spool.file) as db:
        db.execute("UPDATE batches SET payload = 'onf'")
    db.close()
    driver.offer(b"two")
    driver.run(ok)
    counts = driver.counts
    assert driver.requests == [[b"two"]]
    assert (counts.shipped, sum(counts.dropped.values()), counts.missing) == (1, 1, 0)
    assert [letter.reason for letter in driver.spool.dead_letters()] == ["damaged on disk"]
    assert "akto: 1 batch damaged on disk is now among the dead letters" in caplog.text


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """Return an empty spool in memory."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript(SCHEMA)
        yield made


def left(db: sqlite3.Connection) -> tuple[int, ...]:
    """Return the numbers of batches, dead letters, payloads and refusals."""
    tables = ("batches", "dead", "payloads", "refusals")
    return tuple(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables)


@given(st.lists(st.binary(max_size=50).map(lambda raw: raw.replace(b"\n", b"")), min_size=1, max_size=5))
def test_any_batch_comes_back_as_it_was(entries: list[bytes]) -> None:
    """Line 3: a batch is read byte for byte; totals match the rows, and a deleted batch leaves no row."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(SCHEMA)
        payload = b"\n".join(entries)
        batch = rows.insert(db, sessions.own(db, "me", "t"), 1.0, payload)
        assert rows.first(db, "me", "t", "[]") == rows.Found(batch, entries)
        assert rows.first(db, "me", "t", f"[{batch}]") is None
        assert rows.totals(db) == (len(payload) + rows.ROW_OVERHEAD, 0)
        assert (rows.delete(db, batch), rows.delete(db, batch)) == (1, 0)
        assert (rows.totals(db), left(db)) == ((0, 0), (0, 0, 0, 0))


def test_the_batch_that_was_refused_least_often_is_next(db: sqlite3.Connection) -> None:
    """Line 8: among batches with equally few refusals, the oldest is next."""
    session = sessions.own(db, "me", "t")
    first, second = (rows.insert(db, session, 1.0, payload) for payload in (b"1", b"2"))
    for batch in (first, first, second):
        rows.count_refusal(db, batch)
    assert rows.first(db, "me", "t", "[]") == rows.Found(second, [b"2"])
    third = rows.insert(db, session, 1.0, b"3")
    assert rows.first(db, "me", "t", "[]") == rows.Found(third, [b"3"])


@pytest.mark.parametrize("damage", ["count = 2", "count = -1", "count = 'x'", "crc = 0", "payload = 99"])
def test_a_batch_that_is_not_what_was_written_has_no_entries(db: sqlite3.Connection, damage: str) -> None:
    """Line 9: a damaged batch becomes a dead letter with the remaining bytes."""
    batch = rows.insert(db, sessions.own(db, "me", "t"), 1.0, b"one")
    db.execute(f"UPDATE batches SET {damage}")
    assert rows.first(db, "me", "t", "[]") == rows.Found(batch, None)
    rows.bury_damaged(db, batch)
    assert left(db) == (0, 1, 1, 0)
    assert db.execute("SELECT target, reason FROM dead").fetchall() == [("t", "damaged on disk")]


@pytest.mark.parametrize(("target", "found"), [("", "t"), ("u", "u")])
def test_a_revived_letter_is_a_batch_for_the_next_session(db: sqlite3.Connection, target: str, found: str) -> None:
    """Line 6: the batch is for the letter's own target or the named one, and the payload is not written again."""
    rows.bury_damaged(db, rows.insert(db, sessions.own(db, "me", "t"), 1.0, b"one"))
    rows.revive(db, 1, target, 2.0)
    rows.revive(db, 1, target, 2.0)
    assert left(db) == (1, 0, 1, 0)
    stored = rows.first(db, FREE, found, "[]")
    assert stored
    assert stored.entries == [b"one"]


def test_a_row_of_another_format_is_taken_in_once(db: sqlite3.Connection) -> None:
    """Line 8: a row of another format is imported once, as a batch, or with a reason as a dead letter."""
    batch = rows.Foreign("file 1", 1.0, "t", None, 1, 3, zlib.crc32(b"one", 1), b"one")
    letter = rows.Foreign("file 2", 1.0, "t", "422", 1, 3, 0, "two")
    for row in (batch, letter, batch, letter):
        rows.take_in(db, row)
    assert left(db) == (1, 1, 2, 0)
    assert rows.first(db, FREE, "t", "[]") == rows.Found(1, [b"one"])
