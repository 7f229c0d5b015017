"""Delivery without threads or real time: every step is one call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from akto_mirror.accounts import Stats
from akto_mirror.delivery.batch import Batch, Limits
from akto_mirror.delivery.queue import Queue
from akto_mirror.delivery.results import Attempt, Moment
from akto_mirror.delivery.retry import Durability, Pace
from akto_mirror.delivery.scheduler import Scheduler
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.spool.errors import SpoolError
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.delivery.store import Store
from akto_mirror.outcomes import Outcome, verdict
from akto_mirror.snapshots import Snapshot

EPOCH = 1_700_000_000.0

Answer = Callable[[Sequence[bytes]], SendResult]

_names = itertools.count()


class Clock:
    """A clock that the test moves: monotonic seconds, and epoch seconds, which may be set.

    Attributes:
        now: monotonic seconds.
        set_by: seconds by which a test has moved the epoch clock forward.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.set_by = 0.0

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return self.now

    def wall(self) -> float:
        """Return epoch seconds."""
        return EPOCH + self.now + self.set_by


class BreakableSpool(Spool):
    """A spool whose disk may fail."""

    is_broken = False

    def fail(self) -> None:
        """Let the disk fail from now on."""
        self.close()
        self.is_broken = True

    def _open(self) -> None:
        if self.is_broken:
            raise SpoolError("I/O error")
        super()._open()


class Driver:
    """The real delivery code with a scripted Akto.

    Args:
        folder: the spool's folder; None for no spool.
        durability: as in the option.
        clock: shared between processes that share a spool.
        limits: the limits of a batch.
        queue_bytes: the queue's limit in bytes.
        spool_bytes: the spool's limit in bytes.
        chance: the random number for the jitter.
    """

    def __init__(
        self,
        folder: Path | None = None,
        durability: Durability = Durability.SPILL,
        *,
        clock: Clock | None = None,
        limits: Limits = Limits(100, 1_000_000, 1.0),  # noqa: B008 - frozen
        queue_bytes: int = 1_000_000,
        spool_bytes: int = 10_000_000,
        chance: float = 1.0,
        pace: Pace = Pace(),  # noqa: B008 - frozen
    ) -> None:
        self.clock = clock or Clock()
        self.stats = Stats()
        self.queue = Queue(queue_bytes, limits)
        self.spool: BreakableSpool | None = None
        if folder is not None and durability is not Durability.MEMORY:
            self.spool = BreakableSpool(
                folder,
                target="t",
                limit=spool_bytes,
                owner=f"owner-{next(_names)}",
                clock=self.clock.wall,
                monotonic=self.clock.monotonic,
            )
        self.store = Store(self.spool, self.stats)
        self.scheduler = Scheduler(
            self.queue,
            self.store,
            self.stats,
            durability=durability,
            pace=pace,
            chance=lambda: chance,
        )
        self._offered: dict[int, bytes] = {}
        self.reported: list[tuple[bytes, Outcome, str]] = []
        self.stats.observe(self._observe)
        self.in_flight: Batch | None = None
        self.requests: list[Sequence[bytes]] = []
        self.health_checks = 0

    @property
    def counts(self) -> Snapshot:
        """The current counts."""
        return self.stats.snapshot()

    def _observe(self, entries: Sequence[bytes | int], outcome: Outcome, reason: str) -> None:
        self.reported += [(self._named(entry), outcome, reason) for entry in entries]

    def _named(self, entry: bytes | int) -> bytes:
        return self._offered.get(entry, b"unknown") if isinstance(entry, int) else entry

    def became(self, entry: bytes) -> list[str]:
        """Return the reports about an entry, in order."""
        return [verdict(outcome, reason) for named, outcome, reason in self.reported if named == entry]

    def offer(self, entry: bytes) -> bool:
        """Capture an entry, as the shipper does."""
        refusal = self.queue.refusal(len(entry))
        if refusal is not None:
            self.stats.lose(refusal)
            return False
        self._offered[hash(entry)] = entry
        self.stats.capture()
        self.queue.put(entry, self.clock.now)
        return True

    @property
    def moment(self) -> Moment:
        """The current moment."""
        return Moment(self.clock.now, self.clock.wall())

    def step(self) -> None:
        """Do one step of the shipper, without sending."""
        self.scheduler.tend(self.clock.now)

    def tend(self) -> None:
        """Do what the shipper does during a long send: steps, until nothing is due.

        Raises:
            AssertionError: the delivery asks for a step and then has nothing to do, without end.
        """
        self.step()
        steps = 0
        while self.scheduler.due_in(self.clock.now, idle=False) <= 0:
            self.step()
            steps += 1
            assert steps < 1000, "the delivery spins"

    def wait(self, seconds: float) -> None:
        """Let time pass without a send, with a heartbeat when it is due."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.tend()
            self.clock.now = min(end, self.clock.now + 10)
        self.tend()

    def begin(self) -> bool:
        """Start a send; False if there is nothing to send now."""
        if self.in_flight is None:
            self.in_flight = self.scheduler.next(self.clock.now)
        return self.in_flight is not None

    def finish(self, answer: Answer, *, healthy: bool = True) -> None:
        """End the send with Akto's answer."""
        batch, self.in_flight = self.in_flight, None
        assert batch is not None
        result = answer(batch.entries)
        self.requests.append(batch.entries)
        if self.scheduler.wants_health(self.clock.now) and result.blames_entries:
            self.health_checks += 1
            result = replace(result, healthy=healthy)
        self.scheduler.finish(Attempt(batch, result, 0.01), self.moment)

    def run(self, answer: Answer, *, seconds: float = 3600.0, healthy: bool = True) -> None:
        """Let time pass from event to event until nothing is left to do, or the time is over.

        Raises:
            AssertionError: the delivery asks for a step and then has nothing to do, without end.
        """
        end = self.clock.now + seconds
        idle = 0
        while self.clock.now <= end:
            queued = len(self.queue)
            self.step()
            idle = 0 if len(self.queue) < queued else idle
            if self.begin():
                self.finish(answer, healthy=healthy)
                idle = 0
                continue
            wait = self.scheduler.due_in(self.clock.now, idle=True)
            if self.spool and self.spool.unfinished:
                wait = min(wait, self.scheduler.store.beats_in(self.clock.now))
            idle += 1
            assert idle < 1000, "the delivery spins"
            if wait == float("inf"):
                return
            self.clock.now += max(wait, 1e-6)

    def close(self) -> None:
        """Close as on an orderly exit."""
        self.in_flight = None
        self.scheduler.close(self.moment)


def ok(_: Sequence[bytes]) -> SendResult:
    """Accept everything."""
    return SendResult(200)


def always(status: int | None, detail: str = "", retry_after: str = "") -> Answer:
    """Give every batch this answer."""
    return lambda _: SendResult(status, detail, retry_after)


def picky(bad: Callable[[bytes], bool], status: int = 422) -> Answer:
    """Refuse a batch that contains a bad entry, and accept all others."""
    return lambda entries: SendResult(status if any(map(bad, entries)) else 200, "bad entry")
