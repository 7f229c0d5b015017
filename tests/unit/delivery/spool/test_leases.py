"""Delivery contract, line 8: dead processes are recognised, whatever their clocks show."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.delivery.spool.leases import Watch
from tests.faults.driver import Clock
from tests.support.spools import BATCH, spool


def test_a_living_owner_keeps_its_batches(tmp_path: Path) -> None:
    """Line 8: while a process sends heartbeats, no other process takes over its batches."""
    clock = Clock()
    mine, other = spool(tmp_path, "me", clock=clock), spool(tmp_path, "other", clock=clock)
    mine.put(BATCH)
    for _ in range(100):
        clock.now += 9
        assert other.adopt() == 0
        assert other.next([]) is None
        mine.adopt()
    assert mine.next([])


def test_a_dead_owners_batches_are_taken_over(tmp_path: Path) -> None:
    """Line 8: a lease after another process first saw the dead one, exactly one process takes over its batches."""
    clock = Clock()
    dead, second, third = (spool(tmp_path, name, clock=clock) for name in ("dead", "second", "third"))
    dead.put(BATCH)
    for _ in range(3):
        assert (second.adopt(), third.adopt()) == (0, 0)
        clock.now += 9
    clock.now += 4
    assert (second.adopt(), third.adopt()) == (3, 0)
    assert second.next([])
    assert third.next([]) is None
    assert dead.next([]) is None


JUMPS = pytest.mark.parametrize("jump", [3600.0, -3600.0, 10.0**9, -(10.0**9)])


@JUMPS
def test_a_clock_that_jumps_ends_no_lease(tmp_path: Path, jump: float) -> None:
    """Line 8: if a clock is set, forwards or backwards, nothing of a living process is taken over."""
    clock = Clock()
    mine, other = spool(tmp_path, "me", clock=clock), spool(tmp_path, "other", clock=clock)
    mine.put(BATCH)
    for beat in range(30):
        clock.now += 9
        clock.set_by += jump if beat % 3 == 1 else 0
        assert other.adopt() == 0
        assert mine.adopt() == 0
    assert mine.next([])
    assert other.next([]) is None


@JUMPS
def test_a_clock_that_jumps_strands_nothing(tmp_path: Path, jump: float) -> None:
    """Line 8: batches of a dead process are taken over a lease later, even if the clock is set meanwhile."""
    clock = Clock()
    dead, other = spool(tmp_path, "dead", clock=clock), spool(tmp_path, "other", clock=clock)
    dead.put(BATCH)
    assert other.adopt() == 0
    for _ in range(2):
        clock.set_by += jump
        clock.now += 14
        assert other.adopt() == 0
    clock.now += 2
    assert other.adopt() == 3


def test_one_that_slept_takes_nothing_from_the_living(tmp_path: Path) -> None:
    """Line 8: after the machine has slept, the first process to wake gives the others time for a heartbeat."""
    clock = Clock()
    mine, other = spool(tmp_path, "me", clock=clock), spool(tmp_path, "other", clock=clock)
    mine.put(BATCH)
    assert other.adopt() == 0
    clock.now += 36_000
    assert other.adopt() == 0
    mine.adopt()
    for _ in range(5):
        clock.now += 10
        assert other.adopt() == 0
        mine.adopt()


def test_a_sign_of_life_is_a_number_that_changes() -> None:
    """Line 8: a counter that does not change for a lease is of a dead process; any change is a heartbeat."""
    watch = Watch(30)
    for now in range(0, 40, 10):
        dead = watch.dead({"still": 7.0, "counts": float(-now)}, float(now))
    assert dead == {"still"}


def test_one_that_was_not_there_at_the_last_look_is_new() -> None:
    """Line 8: a name that appears again gets a whole lease, because its process may have started again."""
    watch = Watch(30)
    watch.dead({"back": 1.0}, 0)
    watch.dead({}, 15)
    watch.dead({"back": 1.0}, 30)
    assert watch.dead({"back": 1.0}, 45) == set()
    assert watch.dead({"back": 1.0}, 60) == {"back"}


@given(st.lists(st.floats(0, 10**6), min_size=1, max_size=20))
def test_nothing_is_dead_before_a_lease(steps: list[float]) -> None:
    """Line 8: an interval between two looks counts for at most half a lease."""
    watch, now = Watch(30), 0.0
    watch.dead({"other": 1.0}, now)
    seen = 0.0
    for step in steps:
        now += step
        seen += min(step, 15)
        assert bool(watch.dead({"other": 1.0}, now)) == (seen >= 30 or seen == pytest.approx(30))
