"""Delivery contract, lines 1, 2, 4 and 7: the shipper's threads against real peers."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.delivery.retry import Durability, Pace
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.file import FileSink
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.outcomes import Dropped
from tests.faults.server import GARBAGE, HANG, OK, RESET, FaultServer, Reply, Script, status, wait_for, weather
from tests.support.shipping import entry, fill, ours, policy, shipping

MODES = pytest.mark.parametrize("durability", Durability)


@MODES
def test_everything_arrives_once(tmp_path: Path, durability: Durability) -> None:
    """Line 1: offered entries arrive once, and are counted as shipped."""
    with FaultServer() as akto, shipping(akto.url + "/api/ingestData", policy(tmp_path / "s", durability)) as shipper:
        fill(shipper, 500)
        wait_for(lambda: shipper.stats.snapshot().shipped == 500)
        assert set(akto.taken.values()) == {1}
        assert len(akto.taken) == 500
        assert shipper.stats.snapshot().missing == 0


def scripts() -> dict[str, Script | Reply]:
    """Return a script for each fault."""
    return {
        "503": status(503, ("Retry-After", "0")),
        "500": status(500),
        "429": status(429, ("Retry-After", "soon")),
        "401": status(401),
        "404": status(404),
        "301": status(301, ("Location", "https://elsewhere/")),
        "reset": RESET,
        "garbage": GARBAGE,
        "hang": HANG,
        "no answer": Reply(status=None),
        "slow": Reply(pause_s=0.2),
    }


@MODES
@pytest.mark.parametrize("fault", list(scripts()))
def test_every_fault_passes(tmp_path: Path, durability: Durability, fault: str) -> None:
    """Line 4: after any fault all entries arrive when Akto works again, and the counts add up meanwhile."""
    given = policy(tmp_path / "s", durability, timeout_s=0.3)
    with FaultServer(scripts()[fault], health=status(503)) as akto, shipping(akto.url + "/api", given) as shipper:
        fill(shipper, 200)
        wait_for(lambda: shipper.stats.snapshot().failures >= 3)
        counts = shipper.stats.snapshot()
        assert (counts.missing, counts.shipped, counts.rejected, counts.pending) == (0, 0, 0, 200)
        akto.script = OK
        wait_for(lambda: shipper.stats.snapshot().shipped == 200)
        assert set(akto.taken) == {f"/{number}" for number in range(200)}


@pytest.mark.timeout(500)
def test_the_counts_add_up_at_every_moment(tmp_path: Path) -> None:
    """Line 1: at any moment, under faults, the captured entries equal the sum of all places."""
    given = policy(tmp_path / "s", Durability.DISK, timeout_s=0.3, queue_bytes=20_000)
    seen: list[tuple[int, int]] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            counts = shipper.stats.snapshot()
            seen.append((counts.missing, min(counts.places.values())))

    with FaultServer(weather(7)) as akto, shipping(akto.url, given) as shipper:
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            for _ in range(4):
                fill(shipper, 750)
                asked = akto.seen.requests
                wait_for(lambda asked=asked: akto.seen.requests > asked + 2, 90)  # type: ignore[misc]
            akto.script = OK
            wait_for(lambda: shipper.stats.snapshot().pending == 0, 90)
        finally:
            over.set()
            watcher.join(30)
        counts = shipper.stats.snapshot()
    assert len(seen) > 100
    assert {missing for missing, _ in seen} == {0}
    assert min(least for _, least in seen) >= 0
    assert counts.shipped + counts.rejected + sum(counts.dropped.values()) == counts.captured == 3000


def test_every_status_is_returned_as_it_came() -> None:
    """Line 4: the sink returns each status from 200 to 599, and follows no redirect."""
    codes = itertools.count(200)
    elsewhere = ("Location", "http://127.0.0.1:9/elsewhere")
    with FaultServer(lambda _: status(next(codes), elsewhere, body=b"")) as akto:
        sink = HttpSink(akto.url)
        try:
            statuses = [sink.send([entry(number)], 10.0).status for number in range(400)]
        finally:
            sink.close()
        assert akto.seen.requests == 400
    assert statuses == list(range(200, 600))


@MODES
def test_refused_connections_and_dead_names(tmp_path: Path, durability: Durability) -> None:
    """Line 4: if nothing listens or the name does not exist, all entries wait."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "http://does-not-exist.invalid/"):
        folder = tmp_path / url.partition("//")[2][:9]
        with shipping(url, policy(folder, durability, timeout_s=1.0)) as shipper:
            fill(shipper, 50)
            wait_for(lambda shipper=shipper: shipper.stats.snapshot().failures >= 2)  # type: ignore[misc]
            assert shipper.stats.snapshot().pending == 50


def test_what_goes_to_disk_while_akto_hangs(tmp_path: Path) -> None:
    """Line 3: in `disk`, entries are written to disk in time although a request hangs."""
    given = policy(tmp_path / "s", Durability.DISK, timeout_s=60.0)
    with FaultServer(HANG) as akto, shipping(akto.url, given) as shipper:
        fill(shipper, 5)
        wait_for(lambda: akto.seen.requests == 1)
        fill(shipper, 95)
        wait_for(lambda: shipper.stats.snapshot().spooled == 95, seconds=10)
        assert shipper.stats.snapshot().in_flight == 5


def test_spill_leaves_no_file_when_all_is_well(tmp_path: Path) -> None:
    """Line 3: nothing is written in `spill` while Akto accepts everything, and nothing ever in `memory`."""
    for durability in (Durability.MEMORY, Durability.SPILL):
        with FaultServer() as akto, shipping(akto.url, policy(tmp_path / "s", durability)) as shipper:
            fill(shipper, 100)
            wait_for(lambda shipper=shipper: shipper.stats.snapshot().shipped == 100)  # type: ignore[misc]
        assert not (tmp_path / "s").exists()


def test_memory_never_writes(tmp_path: Path) -> None:
    """Line 3: in `memory`, no file is written in an outage; at exit the remaining entries are dropped and counted."""
    with FaultServer(status(503)) as akto:
        shipper = Shipper(policy(tmp_path / "s", shutdown_s=0.2), HttpSink(akto.url), Stats())
        fill(shipper, 100)
        wait_for(lambda: akto.seen.requests > 1)
        shipper.close().result(30)
    assert shipper.stats.snapshot().dropped == {Dropped.SHUTDOWN: 100}
    assert not (tmp_path / "s").exists()


def test_a_huge_entry_is_dropped_by_name() -> None:
    """Line 2: an entry over 4 MiB, which should have been shortened before, is dropped and counted."""
    with FaultServer() as akto, shipping(akto.url, policy(None, queue_bytes=10**8)) as shipper:
        assert shipper.offer(b"x" * (4 * 1024 * 1024 + 1)) is Dropped.TOO_LARGE
        assert shipper.stats.snapshot().dropped == {Dropped.TOO_LARGE: 1}


def test_the_queue_is_bounded_by_bytes() -> None:
    """Line 2: new entries that do not fit are dropped at once and counted; older ones arrive."""
    with FaultServer(status(503)) as akto, shipping(akto.url, policy(None, queue_bytes=100_000)) as shipper:
        fill(shipper, 2000, 1000)
        counts = shipper.stats.snapshot()
        assert shipper.queue_bytes <= 100_000 + 11_000
        assert counts.dropped[Dropped.QUEUE_FULL] + counts.pending == 2000
        assert 80 <= counts.pending <= 110
        akto.script = OK
        wait_for(lambda: shipper.stats.snapshot().pending == 0)
        assert {f"/{number}" for number in range(80)} <= set(akto.taken)


@MODES
@pytest.mark.parametrize("fault", ["hang", "slow", "reset", "500"])
def test_close_keeps_its_deadline(tmp_path: Path, durability: Durability, fault: str) -> None:
    """Line 7: closing keeps its deadline; in `spill` and `disk` the remaining entries are on disk."""
    before = set(ours())
    given = policy(tmp_path / "s", durability, timeout_s=60.0, shutdown_s=0.5)
    with FaultServer(scripts()[fault] if fault != "slow" else Reply(pause_s=5.0)) as akto:
        shipper = Shipper(given, HttpSink(akto.url), Stats())
        fill(shipper, 200)
        wait_for(lambda: akto.seen.requests > 0)
        began = time.monotonic()
        shipper.close().result(30)
        assert time.monotonic() - began < 0.5 + 3.0
    counts = shipper.stats.snapshot()
    assert (counts.missing, counts.queued, counts.in_flight) == (0, 0, 0)
    if durability is Durability.MEMORY:
        assert counts.dropped == {Dropped.SHUTDOWN: 200}
    else:
        assert counts.spooled == 200
    wait_for(lambda: set(ours()) <= before)


@MODES
def test_a_second_signal_ends_at_once(tmp_path: Path, durability: Durability) -> None:
    """Line 7: a second signal ends a long flush at once, and entries in memory are written to disk."""
    given = policy(tmp_path / "s", durability, timeout_s=60.0, shutdown_s=60.0)
    with FaultServer(HANG) as akto:
        shipper = Shipper(given, HttpSink(akto.url), Stats())
        fill(shipper, 200)
        wait_for(lambda: akto.seen.requests > 0)
        ended = shipper.close()
        assert not ended.done()
        shipper.hurry()
        ended.result(5)
    counts = shipper.stats.snapshot()
    assert counts.missing == 0
    assert counts.spooled == (0 if durability is Durability.MEMORY else 200)


@MODES
def test_what_one_leaves_the_next_delivers(tmp_path: Path, durability: Durability) -> None:
    """Line 7: the next process delivers the entries that the previous one left, before new ones are captured."""
    with FaultServer(status(503)) as akto:
        first = Shipper(policy(tmp_path / "s", durability, shutdown_s=0.2), HttpSink(akto.url), Stats())
        fill(first, 200)
        wait_for(lambda: akto.seen.requests > 0)
        first.close().result(30)
        akto.script = OK
        with shipping(akto.url, policy(tmp_path / "s", durability)) as second:
            second.start()
            left = first.stats.snapshot().spooled
            wait_for(lambda: second.stats.snapshot().shipped == left)
            assert second.stats.snapshot().recovered == left == (0 if durability is Durability.MEMORY else 200)


def test_what_comes_after_the_end() -> None:
    """Line 7: entries that are offered after the end are dropped and counted."""
    shipper = Shipper(policy(), HttpSink("http://127.0.0.1:9/"), Stats())
    shipper.close().result(5)
    assert shipper.offer(entry(1)) is Dropped.SHUTDOWN
    assert shipper.stats.snapshot().dropped == {Dropped.SHUTDOWN: 1}


@MODES
def test_a_new_token_is_tried_at_once(tmp_path: Path, durability: Durability) -> None:
    """Line 4: entries that wait because of a refused token are sent as soon as another one is set."""
    slow = Pace(first_s=0.01, longest_s=0.1, slow_s=3600)
    given = policy(tmp_path / "s", durability, pace=slow)

    with FaultServer(status(401)) as akto, shipping(akto.url, given) as shipper:
        fill(shipper, 100)
        wait_for(lambda: akto.seen.requests > 0)
        akto.script = OK
        shipper.reconfigure(given, HttpSink(akto.url, token="better"))
        wait_for(lambda: shipper.stats.snapshot().shipped == 100)
        assert akto.seen.tokens["secret"] == 1


def test_another_durability_while_running(tmp_path: Path) -> None:
    """Line 3: a new durability takes effect at once, and no entry is lost."""
    with FaultServer(status(503)) as akto, shipping(akto.url, policy(tmp_path / "s")) as shipper:
        fill(shipper, 100)
        wait_for(lambda: akto.seen.requests > 0)
        shipper.reconfigure(policy(tmp_path / "s", Durability.DISK), None)
        wait_for(lambda: shipper.stats.snapshot().spooled >= 90)
        shipper.reconfigure(policy(tmp_path / "s", Durability.SPILL), None)
        akto.script = OK
        wait_for(lambda: shipper.stats.snapshot().shipped == 100)
        assert shipper.stats.snapshot().missing == 0


class Broken:
    """A sink that raises unexpected errors."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Raise an error."""
        del entries, timeout_s
        raise RuntimeError("a fault of the sink")

    def is_healthy(self, timeout_s: float) -> bool:
        """Raise an error."""
        del timeout_s
        raise RuntimeError("a fault of the sink")

    def abort(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def test_an_error_of_a_sink_kills_no_thread() -> None:
    """An error of a sink does not end the shipper, which delivers with the next sink."""
    shipper = Shipper(policy(), Broken(), Stats())
    fill(shipper, 10)
    wait_for(lambda: shipper.stats.snapshot().failures >= 2)
    with FaultServer() as akto:
        shipper.reconfigure(policy(), HttpSink(akto.url))
        wait_for(lambda: shipper.stats.snapshot().shipped == 10)
        shipper.close().result(10)


def test_a_file_is_written_wholly_or_not_at_all(tmp_path: Path) -> None:
    """A batch without space on the disk leaves nothing behind, so that it can be sent again."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    assert FileSink(str(full)).send([b"entry"], 1.0).status is None
    sink = FileSink(str(tmp_path / "out"))
    assert sink.send([b"one", b"two"], 1.0).status == 200
    assert (tmp_path / "out").read_bytes() == b"one\ntwo\n"


def test_offering_never_waits(tmp_path: Path) -> None:
    """Line 10: offering an entry never waits, while Akto hangs and the disk is being written."""
    longest = 0.0
    with FaultServer(HANG) as akto, shipping(akto.url, policy(tmp_path / "s", Durability.DISK)) as shipper:
        for number in range(5000):
            began = time.perf_counter()
            shipper.offer(entry(number))
            longest = max(longest, time.perf_counter() - began)
    assert longest < 5  # Akto hangs for an hour; on a busy machine some seconds are normal.


def test_the_future_is_a_future() -> None:
    """Closing a shipper that never started ends at once."""
    ended: Future[None] = Shipper(policy(), HttpSink("http://127.0.0.1:9/"), Stats()).close()
    assert ended.done()
