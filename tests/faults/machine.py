"""Delivery as a hypothesis state machine: random orders of events, checked against a model."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.queue import cost
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.sinks.base import EntryResult, SendResult
from akto_mirror.delivery.spool.errors import SpoolError
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.outcomes import Dropped, Outcome
from tests.faults.driver import Answer, Clock, Driver

DELIVERED, UNKNOWN, TOO_LARGE = EntryResult.DELIVERED, EntryResult.UNKNOWN, EntryResult.TOO_LARGE
ENTRY_RESULTS = st.lists(st.sampled_from([DELIVERED, DELIVERED, UNKNOWN, TOO_LARGE]), min_size=1, max_size=5)
STATUSES = [None, 200, 200, 200, 301, 400, 401, 404, 413, 422, 429, 500, 503]
LIMITS = Limits(5, 2000, 1.0)


class Delivery(RuleBasedStateMachine):
    """One process after another, sometimes two at once, on one spool, with every kind of failure in between.

    The model: the captured entries, those that arrived, and those that the last process rejected.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="akto-mirror-machine-"))
        self.clock = Clock()
        self.captured: set[bytes] = set()
        self.arrived: Counter[bytes] = Counter()
        self.damaged = False
        self.broken = False
        self.dropped = 0
        self.rejected = 0
        self.by_hand = 0
        self.doubtful = 0

    @initialize(durability=st.sampled_from(Durability), small=st.booleans())
    def start(self, durability: Durability, small: bool) -> None:
        """Choose the durability and the size of the spool."""
        self.durability = durability
        self.spool_bytes = 4_000 if small else 1_000_000
        self.driver = self.new_driver()

    def new_driver(self) -> Driver:
        """Start a process."""
        return Driver(
            self.folder / "spool",
            self.durability,
            clock=self.clock,
            limits=LIMITS,
            queue_bytes=5_000,
            spool_bytes=self.spool_bytes,
        )

    @rule(size=st.integers(10, 900), count=st.integers(1, 6))
    def capture(self, size: int, count: int) -> None:
        """Capture some entries."""
        for _ in range(count):
            entry = b"%08d" % len(self.captured) + b"x" * size
            self.captured.add(entry)
            self.driver.offer(entry)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, 31.0, 400.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule()
    def tend(self) -> None:
        """Do the steps that are due between two sends."""
        self.driver.tend()

    @rule()
    def flush(self) -> None:
        """Make all queued entries due."""
        self.driver.queue.flush()

    @rule()
    def begin(self) -> None:
        """Start a send."""
        self.driver.begin()

    @precondition(lambda self: self.driver.in_flight)
    @rule(status=st.sampled_from(STATUSES), healthy=st.booleans())
    def finish(self, status: int | None, healthy: bool) -> None:
        """End the send with an answer."""
        self.driver.finish(self.answering(status), healthy=healthy)

    @precondition(lambda self: self.driver.in_flight)
    @rule(entry_results=ENTRY_RESULTS, doubtful=st.booleans())
    def finish_entry_by_entry(self, entry_results: list[EntryResult], doubtful: bool) -> None:
        """End the send with a result for each entry, as with Kafka; entries with an unknown result may have arrived."""
        self.driver.finish(self.judging(entry_results, doubtful=doubtful))

    @rule(status=st.sampled_from(STATUSES), steps=st.integers(1, 8), healthy=st.booleans())
    def several(self, status: int | None, steps: int, healthy: bool) -> None:
        """Send several times with the same answer."""
        for _ in range(steps):
            self.driver.tend()
            if self.driver.begin():
                self.driver.finish(self.answering(status), healthy=healthy)
            self.clock.now += 1.0

    @rule()
    def restart(self) -> None:
        """End the process in an orderly way, and start another."""
        self.repair()
        self.driver.close()
        self.settle()
        self.driver = self.new_driver()

    @precondition(lambda self: self.driver.spool)
    @rule(stalled=st.booleans())
    def take_over(self, stalled: bool) -> None:
        """Another process takes over the free batches, delivers them and ends; the first one may seem dead."""
        self.repair()
        other = self.new_driver()
        if stalled:
            other.wait(60.0)
        else:
            self.driver.tend()
            other.tend()
        for _ in range(100):
            if not other.begin():
                break
            other.finish(self.answering(200))
        other.close()
        assert other.counts.missing == 0
        self.doubtful += other.counts.doubtful

    @precondition(lambda self: self.driver.spool and not self.broken)
    @rule()
    def break_disk(self) -> None:
        """Let the disk fail."""
        assert self.driver.spool
        self.broken = True
        self.driver.spool.fail()

    @precondition(lambda self: self.driver.spool and self.driver.spool.exists() and not self.broken)
    @rule(seldom=st.integers(0, 3))
    def drop_by_hand(self, seldom: int) -> None:
        """A user deletes waiting entries."""
        if not seldom:
            self.by_hand += self.act(lambda spool: spool.drop_waiting("t"))

    @precondition(lambda self: self.driver.spool and self.driver.spool.exists() and not self.broken)
    @rule()
    def revive(self) -> None:
        """A user requeues the dead letters."""
        self.rejected -= self.act(Spool.revive)

    def act(self, deed: Callable[[Spool], int]) -> int:
        """Let a user run a command, which has no effect on a damaged file."""
        try:
            return deed(self.user())
        except SpoolError:
            assert self.damaged
            return 0

    def user(self) -> Spool:
        """Return the spool as opened by a user's command."""
        assert self.driver.spool
        return Spool(self.driver.spool.file.parent, target="t", limit=self.spool_bytes, owner="user")

    @rule()
    def repair(self) -> None:
        """Let the disk work again."""
        if self.driver.spool:
            self.driver.spool.is_broken = False
        self.broken = False

    @precondition(lambda self: self.driver.spool and self.driver.spool.exists())
    @rule(offset=st.integers(0, 5000), value=st.integers(0, 255))
    def damage(self, offset: int, value: int) -> None:
        """Overwrite some bytes of the file."""
        assert self.driver.spool
        self.damaged = True
        with self.driver.spool.file.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([value] * 8))

    def answering(self, status: int | None) -> Answer:
        """Return an answer that records what it accepted."""

        def answer(entries: Sequence[bytes]) -> SendResult:
            if status == 200:
                self.arrived.update(entries)
            return SendResult(status, "scripted")

        return answer

    def judging(self, entry_results: list[EntryResult], *, doubtful: bool) -> Answer:
        """Return an answer with a result for each entry that records what has arrived."""
        arriving = {DELIVERED, UNKNOWN} if doubtful else {DELIVERED}

        def answer(entries: Sequence[bytes]) -> SendResult:
            found = list(itertools.islice(itertools.cycle(entry_results), len(entries)))
            self.arrived.update(entry for entry, each in zip(entries, found, strict=True) if each in arriving)
            status = None if UNKNOWN in found else 200
            return SendResult(status, "scripted", entry_results=found, doubtful=found.count(UNKNOWN) if doubtful else 0)

        return answer

    def settle(self) -> None:
        """Store the counts of a process that has ended."""
        counts = self.driver.counts
        self.dropped += sum(counts.dropped.values())
        self.rejected += counts.rejected
        self.doubtful += counts.doubtful

    @invariant()
    def nothing_is_missing(self) -> None:
        """Captured plus recovered entries equal the sum of all columns, and no column is negative."""
        if not hasattr(self, "driver"):
            return
        counts = self.driver.counts
        assert counts.missing == 0
        assert min(counts.places.values()) >= 0
        assert counts.in_flight == 0 or self.driver.in_flight or self.driver.scheduler.poison.bisections.open

    @invariant()
    def what_is_reported_adds_up(self) -> None:
        """An observer of single entries sees the same numbers of outcomes as the counts."""
        if not hasattr(self, "driver"):
            return
        counts, ended = self.driver.counts, Counter(outcome for _, outcome, _ in self.driver.reported)
        assert ended[Outcome.SHIPPED] == counts.shipped
        assert ended[Outcome.REJECTED] == counts.rejected
        dropped = counts.dropped.get(Dropped.SHUTDOWN, 0) + counts.dropped.get(Dropped.DEAD_FULL, 0)
        # Entries left by another process have no flows to follow here.
        damaged = counts.dropped.get(Dropped.DAMAGED, 0)
        assert dropped + max(0, damaged - counts.recovered) <= ended[Outcome.DROPPED] <= dropped + damaged
        assert ended[Outcome.HANDED_OVER] <= counts.handed_over

    @invariant()
    def memory_is_bounded(self) -> None:
        """The queue stays within its limit, apart from what came back from failed sends."""
        if hasattr(self, "driver"):
            requeued = sum(cost(batch.entries) for batch in self.driver.queue.requeued)
            assert self.driver.queue.size <= 5_000 + requeued + 2 * 2_000

    def teardown(self) -> None:
        """In the end Akto accepts everything: each entry has arrived, or was rejected or dropped with a reason."""
        if hasattr(self, "driver"):
            self.repair()
            self.clock.now += 3600
            if self.driver.in_flight:
                self.driver.finish(self.answering(None))
            self.driver.run(self.answering(200))
            assert self.driver.counts.pending == 0
            self.driver.close()
            self.settle()
            self.account()
        shutil.rmtree(self.folder)

    def account(self) -> None:
        """The entries that did not arrive match the counts."""
        missing = self.captured - set(self.arrived)
        if self.durability is Durability.MEMORY:
            assert len(missing) <= self.dropped + self.rejected
        elif not self.damaged:
            kept = self.user().dead_letters() if self.driver.spool and self.driver.spool.exists() else []
            dead = {letter.payload for letter in kept}
            assert len(missing - dead) <= self.dropped + self.by_hand
