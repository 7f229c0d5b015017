"""Delivery contract, line 12: the age of the oldest entry that is not shipped, wherever it is."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.sinks import destination
from akto_mirror.delivery.spool import view
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.telemetry import server
from tests.faults.driver import Clock, Driver, always, ok, picky
from tests.faults.server import HANG, FaultServer, wait_for
from tests.support.harness import mirroring
from tests.support.shipping import fill, policy, shipping

LIMITS = Limits(10, 100_000, 1.0)
TARGET = "http://akto.test:9091"


def age(driver: Driver) -> float:
    """Return the age of the oldest entry, as in the metrics."""
    since = driver.scheduler.since()
    sizes = view.measure(driver.spool.file.parent, "t") if driver.spool else None
    oldest = sizes.oldest if sizes and sizes.oldest is not None else driver.clock.wall()
    return max(0.0, driver.clock.now - since, driver.clock.wall() - oldest)


@pytest.mark.parametrize("durability", Durability)
def test_an_outage_is_seen_while_it_lasts(tmp_path: Path, durability: Durability) -> None:
    """Line 12: while attempts fail, the age grows, until the entries are delivered."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS)
    for number in range(25):
        driver.offer(b"%d" % number)
    driver.run(always(503), seconds=400)
    assert age(driver) >= 398
    driver.offer(b"young")
    driver.run(ok)
    assert age(driver) == 0


@pytest.mark.parametrize("durability", Durability)
def test_what_is_being_sent_is_seen(tmp_path: Path, durability: Durability) -> None:
    """Line 12: entries of an attempt that hangs are as old as the first of them."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.begin()
    driver.clock.now += 300
    assert age(driver) >= 300
    driver.finish(ok)
    assert age(driver) == 0


@pytest.mark.parametrize("durability", Durability)
def test_a_batch_that_is_being_split_is_seen(tmp_path: Path, durability: Durability) -> None:
    """Line 12: parts of a refused batch are as old as the batch."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS)
    for number in range(10):
        driver.offer(b"%d" % number)
    started = driver.clock.now
    while not driver.scheduler.poison.bisections.open:
        driver.run(picky(lambda entry: entry == b"7"), seconds=1, healthy=True)
    assert age(driver) >= driver.clock.now - started - 2
    driver.run(picky(lambda entry: entry == b"7"))
    assert age(driver) == 0


def test_a_batch_that_left_the_disk_unnoticed_is_seen(tmp_path: Path) -> None:
    """Line 12: a batch whose file fails while it is being sent keeps its age in memory."""
    driver = Driver(tmp_path / "s", Durability.DISK, limits=LIMITS)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.begin()
    shutil.rmtree(tmp_path / "s")
    (tmp_path / "s").symlink_to(tmp_path)
    driver.clock.now += 20
    driver.offer(b"two")
    driver.queue.flush()
    driver.tend()
    driver.finish(always(503))
    assert driver.queue.requeued
    driver.clock.now += 300
    assert age(driver) >= 320


def test_the_shipper_reports_it(tmp_path: Path) -> None:
    """Line 12: the attempt that hangs determines the age, not the entries queued later."""
    with FaultServer(HANG) as akto, shipping(akto.url, policy(tmp_path / "s", Durability.SPILL)) as shipper:
        assert shipper.oldest_s == 0
        began = time.monotonic()
        fill(shipper, 1)
        wait_for(lambda: akto.seen.requests > 0)
        before = time.monotonic()
        fill(shipper, 1)
        passed = time.monotonic() - before
        assert passed <= shipper.oldest_s <= time.monotonic() - began


def stock(folder: Path, target: str, clock: Clock) -> None:
    """Leave a batch on disk."""
    spool = Spool(folder, target=target, limit=10**6, owner="before", clock=clock.wall)
    spool.put([b"{}"])
    spool.release()


def test_what_is_for_another_address_does_not_count(tmp_path: Path) -> None:
    """Line 12: a batch for an earlier akto_url, which is not sent, does not count."""
    stock(tmp_path / "s", "http://gone.test", Clock())
    with mirroring(running=False, url=TARGET, spool_dir=str(tmp_path / "s"), shutdown_s=0) as harness:
        seen = harness.addon.session.observe()
        assert seen.oldest_s == 0
        assert seen.spool_bytes
        stock(tmp_path / "s", destination.spool_target(destination.parse(TARGET), ""), Clock())
        assert harness.addon.session.observe().oldest_s > server.STALE_S


def test_without_options_nothing_waits(tmp_path: Path) -> None:
    """Line 12: in a dry run, or with invalid options, the age is 0."""
    stock(tmp_path / "s", TARGET, Clock())
    with mirroring(running=False, url="", spool_dir=str(tmp_path / "s")) as harness:
        assert harness.addon.session.observe().oldest_s == 0
        harness.addon.session.settings = None
        assert harness.addon.session.observe().oldest_s == 0
