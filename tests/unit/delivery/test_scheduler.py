"""Delivery contract, lines 1, 4 and 7: the scheduler's order of steps, and the state after a step that fails."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.delivery import shipper
from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.report import Report
from akto_mirror.delivery.results import Attempt
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.delivery.spool import view
from akto_mirror.delivery.spool.errors import SpoolError
from akto_mirror.delivery.spool.rows import ROW_OVERHEAD
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.outcomes import Dropped
from tests.faults.driver import Driver, always, ok
from tests.faults.server import HANG, OK, FaultServer, status, wait_for
from tests.support.shipping import entry, fill, policy, shipping

LIMITS = Limits(10, 100_000, 1.0)

# More batches than arrive until one is on disk: endless for a loop that waits for the last.
ENDLESS = 300


def refilled(driver: Driver) -> None:
    """Queue a new batch whenever one is written, as with a disk that is as slow as the traffic is fast."""
    assert driver.spool
    put, left = driver.spool.put, iter(range(ENDLESS))

    def slow(entries: Sequence[bytes]) -> int:
        if next(left, None) is not None:
            offer(driver, 10)
        return put(entries)

    driver.spool.put = slow  # type: ignore[method-assign]


def offer(driver: Driver, count: int) -> None:
    """Offer this many entries."""
    for number in range(count):
        assert driver.offer(b"%d" % number)


@pytest.mark.parametrize("durability", [Durability.DISK, Durability.SPILL])
def test_a_disk_as_slow_as_the_traffic_keeps_nothing_from_being_sent(tmp_path: Path, durability: Durability) -> None:
    """Line 4: if another batch is queued whenever one is written, sending still takes turns with writing."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS)
    offer(driver, 10)
    driver.run(always(503), seconds=0.1)
    refilled(driver)
    offer(driver, 10)
    driver.step()
    assert driver.counts.spooled == 20
    assert driver.scheduler.due_in(driver.clock.now, idle=False) == 0
    driver.clock.now += 1
    assert driver.begin()
    driver.finish(ok)
    assert driver.counts.shipped == 10
    assert driver.counts.queued == 10


def test_a_full_spool_does_not_lead_to_hurry(tmp_path: Path) -> None:
    """Line 3: a batch without room is put back, and the next step is due when there may be room."""
    driver = Driver(tmp_path / "s", Durability.DISK, limits=LIMITS, spool_bytes=100)
    offer(driver, 10)
    driver.step()
    assert driver.counts.queued == 10
    assert driver.scheduler.due_in(driver.clock.now, idle=False) > 1


def test_the_shipper_sends_while_the_disk_never_catches_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 4: the same with the shipper's threads: entries arrive although writing never catches up."""
    put = Spool.put
    with FaultServer() as akto, shipping(akto.url, policy(tmp_path / "s", Durability.DISK)) as shipper:

        def slow(self: Spool, entries: Sequence[bytes]) -> int:
            if not shipper.stats.snapshot().shipped:
                fill(shipper, 10)
            return put(self, entries)

        monkeypatch.setattr(Spool, "put", slow)
        fill(shipper, 10)
        wait_for(lambda: shipper.stats.snapshot().shipped > 0)


def unseen(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make files of a folder inaccessible, as with another user's folder or a server that is away."""
    look = os.stat

    def refuse(path: Any, **how: Any) -> os.stat_result:
        if not isinstance(path, int) and Path(os.fsdecode(path)).parent == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(os, "stat", refuse)


def test_a_spool_that_cannot_be_looked_at_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 9: for a process that may not read a folder there is no spool in it."""
    driver = Driver(tmp_path / "s", Durability.DISK)
    offer(driver, 1)
    driver.run(always(503), seconds=3)
    driver.close()
    assert driver.spool
    assert view.measure(tmp_path / "s", "t")
    unseen(monkeypatch, tmp_path / "s")
    assert not driver.spool.exists()
    assert view.measure(tmp_path / "s", "t") is None
    with pytest.raises(SpoolError):
        next(view.newest_dead(tmp_path / "s", 1))
    Driver(tmp_path / "s", Durability.DISK).tend()


def test_a_closed_folder_does_not_stop_sending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 9: a folder that becomes inaccessible is an error of the disk, and entries go through memory."""
    unseen(monkeypatch, tmp_path / "s")
    with FaultServer(status(503)) as akto, shipping(akto.url, policy(tmp_path / "s", Durability.SPILL)) as shipper:
        fill(shipper, 50)
        wait_for(lambda: akto.seen.requests > 1)
        akto.script = OK
        wait_for(lambda: shipper.stats.snapshot().shipped == 50)
        assert shipper.stats.snapshot().missing == 0


def faulty(*_: object, **__: object) -> None:
    """Raise an unexpected error."""
    raise RuntimeError("a fault of our own")


BREAKABLE = [
    *("scheduler._results._report.failed", "scheduler._results._report.shipped"),
    *("store.keep", "store._attempt", "store.remove", "stats._observer"),
]


@pytest.mark.parametrize("part", BREAKABLE)
@pytest.mark.parametrize("status", [503, 422, 200])
@pytest.mark.parametrize("durability", Durability)
def test_an_error_of_our_own_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, status: int, part: str
) -> None:
    """Line 1: if the end of an attempt raises an error anywhere, no entry is lost, and all arrive."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS)
    offer(driver, 10)
    driver.tend()
    assert driver.begin()
    owner, _, name = part.rpartition(".")
    with monkeypatch.context() as broken, contextlib.suppress(RuntimeError):
        broken.setattr(attrgetter(owner)(driver), name, faulty)
        driver.finish(always(status))
    assert driver.counts.missing == 0
    assert driver.counts.in_flight == 0
    assert driver.counts.shipped == (10 if status == 200 else 0)
    driver.run(ok)
    assert driver.counts.shipped == 10
    assert driver.counts.pending == 0


def test_an_error_while_a_batch_is_written_leaves_it_in_the_queue(tmp_path: Path) -> None:
    """Line 1: a batch whose writing raises an error is put back into the queue."""
    driver = Driver(tmp_path / "s", Durability.DISK, limits=LIMITS)
    offer(driver, 10)
    put, driver.store.keep = driver.store.keep, faulty  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        driver.step()
    driver.store.keep = put  # type: ignore[method-assign]
    driver.run(ok)
    assert driver.counts.shipped == 10


def test_an_error_in_the_last_attempt_keeps_nothing_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line 7: at exit, the remaining entries are written even if the last attempt raises an error."""
    with FaultServer(HANG) as akto:
        given = policy(tmp_path / "s", Durability.SPILL, shutdown_s=0.1)
        shipper = Shipper(given, HttpSink(akto.url), Stats())
        fill(shipper, 50)
        wait_for(lambda: akto.seen.requests > 0)
        monkeypatch.setattr(Report, "failed", faulty)
        shipper.close().result(30)
    assert shipper.stats.snapshot().spooled == 50


def written(driver: Driver) -> list[int]:
    """Return a list that gets the number of batches of each transaction."""
    assert driver.spool
    put, sizes = driver.spool.put_all, []

    def counted(batches: Sequence[Sequence[bytes]]) -> list[int]:
        sizes.append(len(batches))
        return put(batches)

    driver.spool.put_all = counted  # type: ignore[method-assign]
    return sizes


@pytest.mark.parametrize("durability", [Durability.DISK, Durability.SPILL])
def test_the_rest_is_written_in_few_transactions(tmp_path: Path, durability: Durability) -> None:
    """Line 7: up to 8 MiB are written per transaction, because the disk may be slow; batches keep their limits."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS, queue_bytes=20_000_000, spool_bytes=10**8)
    for _ in range(1000):
        assert driver.offer(b"x" * 15_000)
    sizes = written(driver)
    driver.close()
    assert len(sizes) == 2
    assert driver.counts.spooled == 1000
    later = Driver(tmp_path / "s", durability, limits=LIMITS)
    later.run(ok)
    assert {len(request) for request in later.requests} == {6, 4}
    assert later.counts.shipped == 1000


def test_what_was_tried_in_vain_is_written_at_the_end(tmp_path: Path) -> None:
    """Line 7: entries that the disk refused before, and those in the queue, are on disk after the exit."""
    driver = Driver(tmp_path / "s", Durability.SPILL, limits=LIMITS)
    (tmp_path / "s").symlink_to(tmp_path)
    offer(driver, 20)
    driver.run(always(503), seconds=3)
    assert driver.queue.requeued
    (tmp_path / "s").unlink()
    driver.close()
    assert driver.counts.spooled == 20
    assert driver.queue.size == 0


@pytest.mark.parametrize("room", range(0, 6000, 500))
def test_the_spools_bound_at_the_end(tmp_path: Path, room: int) -> None:
    """Line 7: if not all batches fit on the disk, as many as fit are written; the rest is counted."""
    driver = Driver(tmp_path / "s", Durability.SPILL, limits=LIMITS, spool_bytes=room)
    for _ in range(100):
        assert driver.offer(b"x" * 50)
    driver.close()
    batch = 10 * 51 - 1 + ROW_OVERHEAD
    assert driver.counts.spooled == 10 * min(10, room // batch)
    assert driver.counts.missing == driver.counts.queued == 0


def test_a_disk_that_fails_is_not_asked_again_at_the_end(tmp_path: Path) -> None:
    """Line 7: if not space but the disk is the problem, no smaller transactions are tried."""
    driver = Driver(tmp_path / "s", Durability.SPILL, limits=LIMITS)
    (tmp_path / "s").symlink_to(tmp_path)
    offer(driver, 100)
    sizes = written(driver)
    driver.close()
    assert sizes == [10]
    assert driver.counts.dropped == {Dropped.SHUTDOWN: 100}


def test_an_exit_that_waits_no_longer_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Line 7: the exit does not wait for a disk that hangs, and logs how many entries may be lost."""
    free, put = threading.Event(), Spool.put_all

    def hang(self: Spool, batches: Sequence[Sequence[bytes]]) -> list[int]:
        free.wait(30)
        return put(self, batches)

    monkeypatch.setattr(Spool, "put_all", hang)
    monkeypatch.setattr("akto_mirror.delivery.shipper.DISK_S", 0.1)
    given = policy(tmp_path / "s", Durability.SPILL, limits=Limits(100, 10**5, 60.0), shutdown_s=0.1)
    with FaultServer(HANG) as akto:
        shipper = Shipper(given, HttpSink(akto.url), Stats())
        fill(shipper, 50)
        shipper.close().result(10)
        logged = [record.getMessage() for record in caplog.records if "takes too long" in record.getMessage()]
        assert logged == ["akto: the disk takes too long; 50 entries may not have been written at the exit"]
        free.set()
        wait_for(lambda: shipper.stats.snapshot().spooled == 50)


def without_threads(monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """Let starting threads with this prefix of the name fail this many times."""
    start, left = threading.Thread.start, iter(range(times))

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith(name) and next(left, None) is not None:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize("name", ["akto-shipper", "akto-sender", "akto"])
@pytest.mark.parametrize("durability", Durability)
def test_a_thread_that_cannot_be_started_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, name: str
) -> None:
    """Line 1: if no thread can be started, entries wait, are counted once, and arrive when one can."""
    without_threads(monkeypatch, name, 3)
    with FaultServer() as akto, shipping(akto.url, policy(tmp_path / "s", durability)) as shipper:
        shipper.start()
        for number in range(5):
            assert shipper.offer(entry(number)) is None
        assert shipper.stats.snapshot().captured == 5
        wait_for(lambda: shipper.stats.snapshot().shipped == 5)
        assert shipper.stats.snapshot().missing == 0
        assert set(akto.taken.values()) == {1}


@pytest.mark.parametrize("durability", Durability)
def test_without_any_thread_the_exit_writes_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, durability: Durability
) -> None:
    """Line 7: at exit, entries that no thread took are on disk or counted, and the problem was logged twice."""
    without_threads(monkeypatch, "akto", 10**6)
    shipper = Shipper(policy(tmp_path / "s", durability), HttpSink("http://127.0.0.1:9/"), Stats())
    fill(shipper, 50)
    shipper.close().result(5)
    counts = shipper.stats.snapshot()
    assert counts.missing == counts.queued == 0
    assert counts.spooled == (0 if durability is Durability.MEMORY else 50)
    assert len([record for record in caplog.records if "can't start new thread" in record.getMessage()]) == 2


def test_without_a_watchdog_the_exit_still_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 7: without a thread for the watchdog, closing still sends the remaining entries."""
    with FaultServer() as akto:
        given = policy(tmp_path / "s", Durability.SPILL, limits=Limits(100, 10**5, 60.0))
        shipper = Shipper(given, HttpSink(akto.url), Stats())
        fill(shipper, 1)
        without_threads(monkeypatch, "Thread-", 1)
        shipper.close().result(30)
        assert shipper.stats.snapshot().shipped == 1


def test_a_tick_sends_one_batch_at_a_time(tmp_path: Path) -> None:
    """Line 4: a tick chooses a batch, and no other until its attempt has ended; it returns when the next is due."""
    driver = Driver(tmp_path / "s", Durability.SPILL, limits=LIMITS)
    offer(driver, 25)
    first = driver.scheduler.tick(driver.moment)
    assert first.batch is not None
    assert len(first.batch.entries) == 10
    assert driver.scheduler.tick(driver.moment).batch is None
    second = driver.scheduler.tick(driver.moment, Attempt(first.batch, SendResult(200), 0.1))
    assert second.batch is not None
    assert driver.counts.shipped == 10
    third = driver.scheduler.tick(driver.moment, Attempt(second.batch, SendResult(200), 0.1))
    assert third.batch is None
    assert 0 < third.wait_s <= LIMITS.linger_s
    assert not third.is_over


def test_a_tick_that_may_not_send_holds_everything(tmp_path: Path) -> None:
    """Line 4: a tick without sending, as before a change of the destination, chooses no batch."""
    driver = Driver(tmp_path / "s", Durability.SPILL, limits=LIMITS)
    offer(driver, 10)
    assert driver.scheduler.tick(driver.moment, sends=False).batch is None
    assert driver.scheduler.tick(driver.moment).batch is not None


@pytest.mark.parametrize("durability", Durability)
def test_a_tick_knows_the_end(tmp_path: Path, durability: Durability) -> None:
    """Line 7: closing is over when all entries have arrived, at the deadline, or when the rest should go to disk."""
    driver = Driver(tmp_path / "s", durability, limits=LIMITS)
    offer(driver, 10)
    deadline = driver.clock.now + 5
    sent = driver.scheduler.tick(driver.moment, deadline=deadline)
    assert not sent.is_over
    if sent.batch is None:  # It went to disk first.
        sent = driver.scheduler.tick(driver.moment, deadline=deadline)
    assert sent.batch is not None
    refused = Attempt(sent.batch, SendResult(503, retry_after="60"), 0.1)
    step = driver.scheduler.tick(driver.moment, refused, deadline)
    assert step.is_over == (durability is not Durability.MEMORY)
    assert step.wait_s <= 5
    driver.clock.now += 5
    assert driver.scheduler.tick(driver.moment, deadline=deadline).is_over


def test_the_shipper_steers_by_three_calls() -> None:
    """All decisions are the scheduler's: besides three calls, the shipper only asks for the age of the oldest entry."""
    called = re.findall(r"_scheduler\.(\w+)", Path(shipper.__file__).read_text(encoding="utf-8"))
    assert set(called) == {"tick", "reconfigure", "close", "since"}
