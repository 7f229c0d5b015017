"""Delivery contract, line 5: poison is distinguished from an outage."""

from __future__ import annotations

import random

import pytest

from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.poison import DENSE, DOUBT_S, ROW, STEADY_S, Act, Poison, Refusals, Refused
from akto_mirror.delivery.retry import Durability, Pace
from tests.faults.driver import Driver, always, picky

PACE = Pace()


def is_bad(entry: bytes) -> bool:
    """Return whether the entry is bad."""
    return entry.startswith(b"bad")


def lone(refusals: Refusals, *, healthy: bool | None = True, is_part: bool = True) -> Refused:
    """Return a refusal of a single entry."""
    return Refused(refusals, 1, is_part=is_part, healthy=healthy, is_too_large=False)


@pytest.mark.parametrize("outage_s", [0.5, 4.0, 50.0])
@pytest.mark.parametrize("when", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("batch", [7, 100])
def test_an_outage_in_a_season_rejects_nothing_else(outage_s: float, when: float, batch: int) -> None:
    """Line 5: in an outage behind a passing health check, in a season of poison, only the bad entries are rejected."""
    bad = set(random.Random(3).sample(range(2000), 1000))
    driver = Driver(None, Durability.MEMORY, chance=0.5, limits=Limits(batch, 1_000_000, 1.0))
    for number in range(2000):
        driver.offer(b"%s-%04d" % (b"bad" if number in bad else b"good", number))
    driver.run(picky(is_bad), seconds=when)
    driver.run(always(422), seconds=outage_s)
    driver.run(picky(is_bad))
    assert (driver.counts.shipped, driver.counts.rejected, driver.counts.pending) == (1000, 1000, 0)


def test_a_lone_entry_is_rejected_between_passes() -> None:
    """Line 5: three refusals with a pass between each two are enough, whatever the health check says."""
    poison, known = Poison(), Refusals()
    for number in range(3):
        verdict = poison.refused(lone(known, healthy=False), float(number), 0.1, PACE)
        known = verdict.refusals
        assert verdict.act is (Act.REJECT if number == 2 else Act.WAIT)
        poison.passed(1, number + 0.5)


def test_where_nothing_has_passed_an_entry_waits_for_long() -> None:
    """Line 5: if nothing has passed, entries are rejected only after `patience_s` of passing health checks."""
    for healthy in (True, False):
        poison, known, now = Poison(), Refusals(), 0.0
        while now < 2 * PACE.patience_s:
            verdict = poison.refused(lone(known, healthy=healthy), now, 10.0, PACE)
            known = verdict.refusals
            if verdict.act is Act.REJECT:
                break
            now += 10
        assert (verdict.act is Act.REJECT) == healthy
        assert now >= PACE.patience_s


@pytest.mark.parametrize("row", [0, ROW + 1])
def test_steadiness_is_asked_for_where_nothing_can_pass_between(row: int) -> None:
    """Line 5: if nothing can pass in between, it takes seconds of a passing health check, or a minute in doubt."""
    poison = Poison()
    known = poison.refused(lone(Refusals(passes=0)), 0.0, 0.1, PACE).refusals
    poison = Poison()
    poison.passed(1, -10.0)
    for _ in range(row):
        poison.refused(lone(Refusals(), healthy=False, is_part=False), 0.0, 0.1, PACE)
    known = Refusals(2, 0, 1, 0, 0.0)
    bound = DOUBT_S if row else STEADY_S
    assert poison.refused(lone(known), bound - 0.1, 0.1, PACE).act is Act.WAIT
    assert poison.refused(lone(known), bound, 0.1, PACE).act is Act.REJECT


def test_a_row_of_refusals_is_doubted() -> None:
    """Line 5: after a pass, Akto is doubted only after more than `ROW` refusals in a row."""
    poison = Poison()
    poison.passed(1, 0.0)
    doubts = [poison.refused(lone(Refusals(), healthy=None, is_part=False), 0.0, 0.1, PACE).doubts for _ in range(40)]
    assert doubts == [False] * ROW + [True] * (40 - ROW)


def test_parts_follow_the_share_of_bad_entries() -> None:
    """Line 5: a batch is split into single entries if many are bad, and into halves if few are."""
    poison = Poison()
    assert poison.parts(100) == 2
    for number in range(100):
        poison.refused(lone(Refusals()), float(number), 0.1, PACE)
    assert poison.parts(100) == 100
    poison.passed(300, 0.0)
    assert poison.parts(100) == 2
    assert 0 < DENSE < 1
