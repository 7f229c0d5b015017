"""Decides which batch is sent next, one step at a time. No threads and no clocks.

Entries wait in the queue, on disk or, without a disk, in batches in memory. A batch that Akto refuses while it accepts
others is split until the bad entries are isolated (`poison` decides about that).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from akto_mirror.accounts import Stats
from akto_mirror.delivery.batch import Batch
from akto_mirror.delivery.poison_filter import PoisonFilter
from akto_mirror.delivery.policy import Policy
from akto_mirror.delivery.queue import Queue
from akto_mirror.delivery.report import Report
from akto_mirror.delivery.results import Attempt, Moment, Results
from akto_mirror.delivery.retry import Durability, Health, Pace
from akto_mirror.delivery.store import Store
from akto_mirror.delivery.waiting import Waiting

NEVER = float("inf")

# At exit, after this many failed attempts the rest is written to disk if possible.
LAST_ATTEMPTS = 3

Source = Callable[[float], Batch | None]


class Step(NamedTuple):
    """The result of a tick.

    Attributes:
        batch: the batch to send now; None if there is none.
        asks_health: whether to check the health if the batch is refused.
        wait_s: seconds until the next tick, unless something happens before; infinity if nothing is due.
        is_over: whether, at exit, nothing is left that could be sent before the deadline.
    """

    batch: Batch | None
    asks_health: bool
    wait_s: float
    is_over: bool


class Scheduler:
    """Decides what the shipper does; the shipper calls `tick`, `reconfigure` and `close`.

    Args:
        queue: where new entries wait.
        store: the batches on disk.
        stats: where entries are accounted for.
        durability: when batches are written to disk.
        pace: how long to wait between attempts.
        chance: returns random numbers from 0 to 1.
    """

    def __init__(  # noqa: PLR0913 - the parts that it stands between
        self,
        queue: Queue,
        store: Store,
        stats: Stats,
        *,
        durability: Durability,
        pace: Pace,
        chance: Callable[[], float],
    ) -> None:
        self.health = Health(pace)
        self.poison = PoisonFilter()
        self._queue = queue
        report = Report(stats, lambda: self.store.where)
        self._waiting = Waiting(queue, store, stats, durability)
        self._results = Results(self._waiting, self.poison, self.health, stats, report=report, chance=chance)
        self._flying: Batch | None = None
        self._sources = deque((self._from_parts, self._from_waiting, self._waiting.take_queued))

    @property
    def store(self) -> Store:
        """The batches on disk."""
        return self._waiting.store

    def tick(
        self, at: Moment, done: Attempt | None = None, deadline: float | None = None, *, sends: bool = True
    ) -> Step:
        """Do what is due, and choose the batch to send now.

        Args:
            at: the current time.
            done: the attempt that has ended since the last tick; while one is running, nothing else is sent.
            deadline: at exit, the time until which entries are sent, in monotonic seconds; None for no limit.
            sends: whether something may be sent.
        """
        if done is not None:
            self.finish(done, at)
        self.tend(at.now, closing=deadline is not None)
        is_over = deadline is not None and self._is_over(at.now, deadline)
        batch = self.next(at.now) if sends and not is_over and self._flying is None else None
        return Step(batch, self.wants_health(at.now), self._tick_in(at.now, deadline), is_over)

    def _is_over(self, now: float, deadline: float) -> bool:
        ends = self._flying is None and (self.is_empty(now) or self.is_hopeless(now, deadline))
        return now >= deadline or ends

    def _tick_in(self, now: float, deadline: float | None) -> float:
        wait = min(self.due_in(now, idle=self._flying is None), self.store.beats_in(now))
        return wait if deadline is None else min(wait, max(0.0, deadline - now))

    def tend(self, now: float, *, closing: bool = False) -> None:
        """Do what is due apart from sending: write a heartbeat, and move a batch from the queue to disk.

        Args:
            now: monotonic seconds.
            closing: whether everything is due from now on.
        """
        self._waiting.closing = closing
        self.store.beat(now)
        self._waiting.collect(now, is_up=self.health.is_up)

    def next(self, now: float) -> Batch | None:
        """Choose the batch to send now; None if there is none, or if it is too early for another attempt."""
        if self.health.due_in(now) > 0:
            return None
        for source in self._next_sources():
            if batch := source(now):
                self._flying = batch
                return batch
        return None

    def finish(self, attempt: Attempt, at: Moment) -> None:
        """Record the result of an attempt; even if that raises an error, no entry is lost."""
        try:
            self._results.finish(attempt, at)
        finally:
            self._flying = None

    def since(self) -> float:
        """Return when the oldest entry arrived that is neither shipped nor on disk; infinity if there is none.

        May be called on any thread.
        """
        taken = [each.batch.since for each in self.poison.bisections.open]
        flying = self._flying
        return min([self._queue.since(), *taken, flying.since if flying else NEVER])

    def wants_health(self, now: float) -> bool:
        """Return whether to check the health if the batch that is being sent is refused."""
        return self.poison.poison.wants_health(now)

    def due_in(self, now: float, *, idle: bool) -> float:
        """Return the seconds until there is something to do, apart from the store's heartbeat.

        Args:
            now: monotonic seconds.
            idle: whether nothing is being sent.
        """
        waits = [self._waiting.collects_in(now, is_up=self.health.is_up)]
        if idle:
            waits += [max(self.health.due_in(now), wait) for wait in self._sends_in(now)]
        return min(waits)

    def is_empty(self, now: float) -> bool:
        """Return whether nothing is left that could be sent now."""
        return not self.poison.bisections.open and self._waiting.is_empty(now)

    def is_hopeless(self, now: float, deadline: float) -> bool:
        """Return whether the rest should be written to disk instead of being sent until the deadline."""
        if self._waiting.durability is Durability.MEMORY:
            return False
        return self.health.failures >= LAST_ATTEMPTS or now + self.health.due_in(now) > deadline

    def reconfigure(self, policy: Policy, store: Store | None, now: float) -> None:
        """Apply a new configuration, and make the next attempt at once. Called while nothing is being sent.

        Args:
            policy: how to deliver.
            store: another store; batches in the old one stay there for the next process. None keeps the current one.
            now: monotonic seconds.
        """
        self.health.pace = policy.pace
        self.health.reset()
        if store is not None:
            self._results.close_bisections(now)
            self.store.hand_over(now)
            self.poison.forget_all()
            self._waiting.store = store
        else:
            self.store.retarget(policy.spool.target if policy.spool else "", now)
        self._waiting.durability = policy.durability

    def close(self, at: Moment, done: Attempt | None = None) -> None:
        """Write the entries in memory to disk, or drop them, even if the last attempt raises an error.

        Args:
            at: the current time.
            done: the last attempt, if it has ended; a batch that is still being sent counts as not sent.
        """
        try:
            if done is not None:
                self.finish(done, at)
            elif self._flying is not None:
                self._results.put_back(self._flying, at.now)
        finally:
            self._flying = None
            if self._waiting.durability is not Durability.MEMORY:
                self.store.insist()
            self._results.close_bisections(at.now)
            self._waiting.close(at.now)

    def _next_sources(self) -> list[Source]:
        """Alternate between the sources; if a pass is wanted, untried parts come first."""
        if self._is_busy_splitting():
            return [self._from_parts]
        if self._wants_pass():
            return [lambda _: self.poison.take_fresh_part(), *self._turn()]
        return self._turn()

    def _wants_pass(self) -> bool:
        return not self.health.is_up or self.poison.wants_pass()

    def _turn(self) -> list[Source]:
        sources: list[Source] = list(self._sources)
        self._sources.rotate(-1)
        return sources

    def _is_busy_splitting(self) -> bool:
        """Return whether so many batches are being split that another one could only be put back."""
        return self.health.is_up and self.poison.bisections.is_crowded()

    def _sends_in(self, now: float) -> list[float]:
        parts = self.poison.bisections.due_in(now)
        if self._is_busy_splitting():
            return [parts]
        waits = [max(0.0, self.poison.refusals(each).not_before - now) for each in self._queue.requeued]
        return [*waits, parts, self._waiting.disk_due_in(now), self._waiting.queue_due_in(now)]

    def _from_parts(self, now: float) -> Batch | None:
        return self.poison.take_part(now, wants_pass=self._wants_pass())

    def _from_waiting(self, now: float) -> Batch | None:
        tried = self.poison.least_refused(self._queue.requeued, now)
        if tried is None:
            return self._waiting.take_from_disk(now, self.poison.later(now))
        self._waiting.take_requeued(tried)
        return tried
