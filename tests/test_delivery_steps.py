"""Delivery contract, lines 1, 4 and 7: one thing at a time, and what a step that fails leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from akto_mirror.batch import Limits
from akto_mirror.retry import Durability
from akto_mirror.spool import Spool
from tests.faults.driver import Driver, always, ok
from tests.faults.server import FaultServer, wait_for
from tests.test_shipper import fill, policy, shipping

LIMITS = Limits(10, 100_000, 1.0)

# As many batches as come before the disk has written one: endless for a loop that waits for the last.
ENDLESS = 300


def refilled(driver: Driver) -> None:
    """Let a new batch come whenever one is written, as on a disk that is just as slow as the traffic is fast."""
    assert driver.spool
    put, left = driver.spool.put, iter(range(ENDLESS))

    def slow(entries: Sequence[bytes]) -> int:
        if next(left, None) is not None:
            offer(driver, 10)
        return put(entries)

    driver.spool.put = slow  # type: ignore[method-assign]


def offer(driver: Driver, count: int) -> None:
    """Capture so many entries."""
    for number in range(count):
        assert driver.offer(b"%d" % number)


@pytest.mark.parametrize("durability", [Durability.DISK, Durability.SPILL])
def test_a_disk_as_slow_as_the_traffic_keeps_nothing_from_being_sent(tmp_path: Path, durability: Durability) -> None:
    """Line 4: while each batch that is written finds another one queued, there is a send between every two of them."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS)
    offer(driver, 10)
    driver.run(always(503), seconds=0.1)
    refilled(driver)
    offer(driver, 10)
    driver.step()
    assert driver.counts.spooled == 20
    assert driver.dispatcher.due_in(driver.clock.now, idle=False) == 0
    driver.clock.now += 1
    assert driver.begin()
    driver.finish(ok)
    assert driver.counts.shipped == 10
    assert driver.counts.queued == 10


def test_a_full_spool_is_no_reason_to_hurry(tmp_path: Path) -> None:
    """Line 3: a batch that finds no room is put back, and the next step is due when there may be some."""
    driver = Driver(tmp_path / "s", Durability.DISK, limits=LIMITS, spool_bytes=100)
    offer(driver, 10)
    driver.step()
    assert driver.counts.queued == 10
    assert driver.dispatcher.due_in(driver.clock.now, idle=False) > 1


def test_the_shipper_sends_while_the_disk_never_catches_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 4: the same with its threads: entries arrive although one batch after another is due to be written."""
    put, left = Spool.put, iter(range(ENDLESS))
    with FaultServer() as akto, shipping(akto.url, policy(tmp_path / "s", Durability.DISK)) as shipper:
        shipped: list[int] = []

        def slow(self: Spool, entries: Sequence[bytes]) -> int:
            shipped.append(shipper.stats.snapshot().shipped)
            if next(left, None) is not None:
                fill(shipper, 10)
            return put(self, entries)

        monkeypatch.setattr(Spool, "put", slow)
        fill(shipper, 10)
        wait_for(lambda: len(shipped) > ENDLESS)
        assert shipped[-1] > 0
