"""Which batch is sent next: decisions only, one step at a time, without threads or clocks.

Entries wait in the queue, on disk, or, where there is none, in batches held in memory. A batch that Akto refuses while
it takes others is split until the entries to blame stand alone (`poison` decides about that).
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

# At the end this many failed attempts are enough where the rest can go to disk.
LAST_ATTEMPTS = 3

Source = Callable[[float], Batch | None]


class Step(NamedTuple):
    """What a tick comes to.

    Attributes:
        batch: what to send now; None if nothing is.
        asks_health: should the batch be refused, a health check would decide something.
        wait_s: seconds until the next tick, if nothing happens before; infinity if nothing is in sight.
        is_over: everything is due, and nothing is left that could be sent until the deadline.
    """

    batch: Batch | None
    asks_health: bool
    wait_s: float
    is_over: bool


class Scheduler:
    """Decides; the shipper does, and steers by `tick`, `reconfigure` and `close`.

    Args:
        queue: where entries come from.
        store: the disk.
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
        self._sources = deque((self._from_parts, self._from_stock, self._waiting.take_queued))

    @property
    def store(self) -> Store:
        """The disk."""
        return self._waiting.store

    def tick(
        self, at: Moment, done: Attempt | None = None, deadline: float | None = None, *, sends: bool = True
    ) -> Step:
        """Do what is due, and choose what is sent now.

        Args:
            at: now.
            done: the attempt that has ended since the last tick; as long as none has, nothing else is sent.
            deadline: until when everything is to be sent, in monotonic seconds; None for as long as it takes.
            sends: something may be sent.
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
        """Do what is due apart from sending: give a sign of life, and move a batch of the queue to disk.

        Args:
            now: monotonic seconds.
            closing: everything is due from now on.
        """
        self._waiting.closing = closing
        self.store.beat(now)
        self._waiting.collect(now, is_up=self.health.is_up)

    def next(self, now: float) -> Batch | None:
        """Choose what is sent now; None if there is nothing, or if it is too early for another attempt."""
        if self.health.due_in(now) > 0:
            return None
        for source in self._next_sources():
            if batch := source(now):
                self._flying = batch
                return batch
        return None

    def finish(self, attempt: Attempt, at: Moment) -> None:
        """Take note of how an attempt went; whatever goes wrong in doing so, the entries are somewhere then."""
        try:
            self._results.finish(attempt, at)
        finally:
            self._flying = None

    def since(self) -> float:
        """Return when the oldest entry came that is not shipped nor on disk; infinity if there is none.

        For any thread.
        """
        taken = [each.batch.since for each in self.poison.bisections.open]
        flying = self._flying
        return min([self._queue.since(), *taken, flying.since if flying else NEVER])

    def wants_health(self, now: float) -> bool:
        """Return whether a health check would decide something, should what is sent now be refused."""
        return self.poison.poison.wants_health(now)

    def due_in(self, now: float, *, idle: bool) -> float:
        """Return the seconds until there is something to do, apart from the store's signs of life.

        Args:
            now: monotonic seconds.
            idle: nothing is being sent.
        """
        waits = [self._waiting.collects_in(now, is_up=self.health.is_up)]
        if idle:
            waits += [max(self.health.due_in(now), wait) for wait in self._sends_in(now)]
        return min(waits)

    def is_empty(self, now: float) -> bool:
        """Return whether nothing is left that could be sent now."""
        return not self.poison.bisections.open and self._waiting.is_empty(now)

    def is_hopeless(self, now: float, deadline: float) -> bool:
        """Return whether the rest had better go to disk than be sent until a deadline."""
        if self._waiting.durability is Durability.MEMORY:
            return False
        return self.health.failures >= LAST_ATTEMPTS or now + self.health.due_in(now) > deadline

    def reconfigure(self, policy: Policy, store: Store | None, now: float) -> None:
        """Go on otherwise; a new address or token deserves an attempt at once. Nothing is being sent.

        Args:
            policy: how to send.
            store: another disk; what is on the old one stays there for the next process. None goes on with this one.
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
        """Write to disk, or give up, what is left in memory, whatever goes wrong with the last attempt.

        Args:
            at: now.
            done: the last attempt, if it has ended; what is still being sent counts as not sent.
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
        """Take turns; where a pass is wanted what is likely to pass comes first, and last what was refused before."""
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
        """Return whether so much is being split that another batch could only be put back."""
        return self.health.is_up and self.poison.bisections.is_crowded()

    def _sends_in(self, now: float) -> list[float]:
        parts = self.poison.bisections.due_in(now)
        if self._is_busy_splitting():
            return [parts]
        waits = [max(0.0, self.poison.refusals(each).not_before - now) for each in self._queue.requeued]
        return [*waits, parts, self._waiting.stock_due_in(now), self._waiting.queue_due_in(now)]

    def _from_parts(self, now: float) -> Batch | None:
        return self.poison.take_part(now, wants_pass=self._wants_pass())

    def _from_stock(self, now: float) -> Batch | None:
        tried = self.poison.least_refused(self._queue.requeued, now)
        if tried is None:
            return self._waiting.take_stock(now, self.poison.later(now))
        self._waiting.take_requeued(tried)
        return tried
