"""Delivery contract, lines 2, 6, 8 and 9: the spool on a real disk."""

from __future__ import annotations

import contextlib
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.delivery.spool.errors import SpoolFull
from akto_mirror.delivery.spool.spool import TIDY_PAGES, TIDY_TIMES, Spool
from akto_mirror.delivery.store import Store
from tests.faults.driver import Clock
from tests.support.spools import BATCH, spool


def test_a_batch_comes_back_as_it_was(tmp_path: Path) -> None:
    """A batch is returned byte for byte until it is removed."""
    mine = spool(tmp_path)
    mine.put(BATCH)
    stored = mine.next([])
    assert stored
    assert stored.entries == BATCH
    mine.close()
    again = mine.next([])
    assert again == stored
    mine.remove([stored.id])
    assert mine.next([]) is None


def test_oldest_first_and_refused_last(tmp_path: Path) -> None:
    """Batches are returned in the order in which they were written, refused ones last."""
    mine = spool(tmp_path)
    for number in range(3):
        mine.put([b"%d" % number])
    first = mine.next([])
    assert first
    assert first.entries == [b"0"]
    mine.postpone(first.id)
    order = []
    while (stored := mine.next([])) is not None:
        order.append(stored.entries[0])
        mine.remove([stored.id])
    assert order == [b"1", b"2", b"0"]


def test_bound(tmp_path: Path) -> None:
    """Line 2: a full spool reports it, and accepts batches again when there is room."""
    mine = spool(tmp_path, limit=10_000)
    fill_up(mine, [b"x" * 1000])
    assert sum(share.size for share in mine.waiting()) <= 10_000
    stored = mine.next([])
    assert stored
    mine.remove([stored.id])
    mine.put([b"x" * 1000])


def test_the_file_stays_near_its_bound(tmp_path: Path) -> None:
    """Line 2: the files stay within the bound but for SQLite's overhead, and an empty spool gives its space back."""
    mine = spool(tmp_path, limit=20 * 1024 * 1024)
    fill_up(mine, [b"x" * 100_000] * 5)
    assert disk(tmp_path) < 20 * 1024 * 1024 * 1.1 + 8 * 1024 * 1024
    while (stored := mine.next([])) is not None:
        mine.remove([stored.id])
    mine.tidy()
    while mine.unfinished:
        mine.tidy()
    mine.close()
    assert disk(tmp_path) < 1024 * 1024


def test_a_large_spool_is_tidied_in_steps(tmp_path: Path) -> None:
    """Line 8: tidying goes in short steps, so that the file is never locked for long, and the steps follow soon."""
    clock = Clock()
    mine = spool(tmp_path, clock=clock, limit=10**8)
    store = Store(mine, Stats())
    mine.remove([mine.put([b"x" * 1_000_000]) for _ in range(12)])
    sizes = [pages(mine)]
    while store.beats_in(clock.now) < 1:
        clock.now += store.beats_in(clock.now)
        store.beat(clock.now)
        sizes.append(pages(mine))
    assert max(before - after for before, after in pairwise(sizes)) <= 2 * TIDY_PAGES * TIDY_TIMES
    assert (sizes[0] > 2900, sizes[-1] < 100) == (True, True)
    assert clock.now < 1002


def pages(mine: Spool) -> int:
    """Return the number of pages of the file."""
    with contextlib.closing(sqlite3.connect(mine.file)) as db:
        return int(db.execute("PRAGMA page_count").fetchone()[0])


def fill_up(mine: Spool, batch: list[bytes]) -> None:
    """Store batches until the spool is full."""
    with contextlib.suppress(SpoolFull):
        for _ in range(1000):
            mine.put(batch)
        pytest.fail("the spool is never full")


def disk(folder: Path) -> int:
    """Return the size of all files of the spool in bytes."""
    return sum(path.stat().st_size for path in (folder / "spool").iterdir())
