"""Which batch is sent next, and what becomes of it: decisions only, one step at a time, without threads or clocks.

Entries wait in the queue, in the store (on disk), or, where there is none, in batches held in memory. A batch that Akto
refuses while it takes others is split by halves until the entries to blame stand alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from akto_mirror.accounts import Stats
from akto_mirror.delivery import batch, retry
from akto_mirror.delivery.queue import Queue, cost
from akto_mirror.delivery.report import Report
from akto_mirror.delivery.retry import Durability, Health, Pace
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.symptoms import TOO_LARGE, Kind, blames_entries
from akto_mirror.delivery.spool.spool import Dead
from akto_mirror.delivery.spool.store import Row, Store
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Dropped, Outcome, Place

# Is told entries, what became of them, and why.
Observer = Callable[[Sequence[bytes], Outcome, str], None]

# So many refusals in a row, and even a batch that others have passed by has to wait.
ROW_OF_REFUSALS = 8

# When every batch on disk has to wait after a refusal, it is looked for others after this many seconds.
LOOK_AGAIN_S = 0.1

# So many bytes are written to disk at a time when there is no time for one batch after another.
WRITE_BYTES = 8 * 1024 * 1024

NEVER = float("inf")


def _nobody(_entries: Sequence[bytes], _outcome: Outcome, _reason: str) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class Blame:
    """How often a batch was refused, and what passed in the meantime.

    Attributes:
        refusals: how often itself.
        passes: batches shipped before the first refusal of it, or of the batch that it is a part of.
        own_passes: batches shipped before its own first refusal.
        since: when the first refusal was, in monotonic seconds.
        not_before: when the next try is due, in monotonic seconds.
    """

    refusals: int = 0
    passes: int | None = None
    own_passes: int = 0
    since: float = 0.0
    not_before: float = float("-inf")

    def again(self, passes: int, now: float, pause: float) -> Blame:
        """Count one refusal more, and wait `pause` seconds."""
        first = self.passes is None
        return Blame(
            self.refusals + 1,
            passes if self.passes is None else self.passes,
            self.own_passes if self.refusals else passes,
            now if first else self.since,
            now + pause,
        )


@dataclass(eq=False, slots=True)
class Case:
    """A batch that is being split: its place on disk, its age, its parts that wait, and what was found guilty."""

    row: Row | None
    since: float
    parts: list[Parcel] = field(default_factory=list)
    open: int = 0
    dead: list[Dead] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Parcel:
    """Entries that are sent together, and when the first of them came to where it was taken from."""

    entries: Sequence[bytes]
    since: float
    row: Row | None = None
    case: Case | None = None
    blame: Blame = Blame()


class Dispatcher:
    """Decides; the shipper does.

    Args:
        queue: where entries come from.
        store: the disk.
        stats: where outcomes are counted.
        report: what tells people.
        durability: when batches are written to disk.
        pace: how long to wait between tries.
        chance: returns random numbers from 0 to 1.

    Attributes:
        observe: is told what became of entries, and why; called on the shipper's thread.
    """

    def __init__(  # noqa: PLR0913 - the parts that it stands between
        self,
        queue: Queue,
        store: Store,
        stats: Stats,
        report: Report,
        *,
        durability: Durability,
        pace: Pace,
        chance: Callable[[], float],
    ) -> None:
        self.durability = durability
        self.store = store
        self.closing = False
        self.health = Health(pace)
        self._queue = queue
        self._stats = stats
        self._report = report
        self._chance = chance
        self.observe: Observer = _nobody
        self._trouble = ""
        self._passes = 0
        self._refusals = 0
        self._held: list[Parcel] = []
        self._case: Case | None = None
        self._flying: Parcel | None = None
        self._blames: dict[Row, Blame] = {}
        self._stock_at = float("-inf")
        self._sources = deque((self._from_case, self._from_stock, self._from_queue))

    def collect(self, now: float) -> None:
        """Move one batch from the queue to disk, where that is its way; the next one is due at once.

        Not all of them: entries may come as fast as they are written, and there is more to do than to write.
        """
        if not (self._should_collect(now) and self.store.can_keep(now)):
            return
        taken = self._queue.take()
        kept = None
        try:
            kept = self.store.keep(taken.entries, Place.QUEUED, now)
        finally:
            if kept is None:
                self._queue.put_back(taken)
        if kept is not None:
            self.observe(taken.entries, Outcome.SPOOLED, self._trouble)

    def next(self, now: float) -> Parcel | None:
        """Choose what is sent now; None if there is nothing, or if it is too early for another try."""
        if self.health.due_in(now) > 0:
            return None
        for source in list(self._sources):
            self._sources.rotate(-1)
            if parcel := source(now):
                self._flying = parcel
                return parcel
        return None

    def since(self) -> float:
        """Return when the oldest entry came that was taken to be sent; infinity if there is none; for any thread."""
        waiting = (self._flying, self._case, *self._held)
        return min((each.since for each in waiting if each is not None), default=NEVER)

    def wants_health(self, parcel: Parcel) -> bool:
        """Tell whether it would matter for a refused parcel that the other side calls itself healthy."""
        return bool(parcel.blame.refusals) or parcel.case is not None

    def finish(self, parcel: Parcel, result: SendResult, seconds: float, now: float, wall: float) -> None:
        """Take note of how a try went; whatever goes wrong in doing so, somebody holds the entries then.

        Args:
            parcel: what was sent.
            result: the answer.
            seconds: how long it took.
            now: monotonic seconds.
            wall: epoch seconds, for an answer that names a date.
        """
        flying = self._stats.count(Place.IN_FLIGHT)
        try:
            self._finish(parcel, result, seconds, now, wall)
        except Exception:
            if self._stats.count(Place.IN_FLIGHT) == flying:
                self._rescue(parcel, now)
            raise
        finally:
            self._flying = None

    def _finish(self, parcel: Parcel, result: SendResult, seconds: float, now: float, wall: float) -> None:
        kind = result.kind
        self._trouble = "" if kind is Kind.SHIPPED else result.told
        self._stats.attempt(seconds, ok=kind is Kind.SHIPPED)
        if kind is Kind.SHIPPED:
            self._passed(parcel, seconds, now)
        elif blames_entries(result.status):
            self._refused(parcel, result, now, wall)
        else:
            self._fail(result, now, wall)
            self._put_back(parcel, now)

    def due_in(self, now: float, *, idle: bool) -> float:
        """Return the seconds until there is something to do, apart from the store's signs of life.

        Args:
            now: monotonic seconds.
            idle: nothing is being sent.
        """
        waits = [self._collects_in(now)]
        if idle:
            waits += [max(self.health.due_in(now), wait) for wait in self._sends_in(now)]
        return min(waits)

    def is_empty(self, now: float) -> bool:
        """Tell whether nothing is left that could be sent now."""
        on_disk = self.store.has_more() and self.store.is_usable(now)
        return not (len(self._queue) or self._held or self._case or on_disk)

    def finish_up(self, rest: Sequence[bytes], now: float) -> None:
        """Write to disk, or give up, what is left in memory: `rest` of the queue, and what was tried in vain."""
        if self.durability is not Durability.MEMORY:
            self.store.insist()
        self._close_case(now)
        left = self._left(rest)
        if self.durability is not Durability.MEMORY:
            self._keep_rest(left, now)
        for entries in left:
            self._stats.drop(len(entries), Place.QUEUED, Dropped.SHUTDOWN)
            self.observe(entries, Outcome.DROPPED, Dropped.SHUTDOWN)

    def move(self, store: Store, now: float) -> None:
        """Use another disk from now on; what is on the old one stays there for whoever uses it next."""
        self._close_case(now)
        left = self._stats.count(Place.SPOOLED)
        self.store.close(now)
        self._stats.move(left, Place.SPOOLED, Place.HANDED_OVER)
        self._blames.clear()
        self.store = store

    def unsent(self, parcel: Parcel, now: float) -> None:
        """Take back a parcel whose try was cut short, without blaming anybody."""
        self._put_back(parcel, now)
        self._flying = None

    def _due_in(self, now: float) -> float:
        if self.closing:
            return 0.0 if len(self._queue) else NEVER
        return self._queue.due_in(now)

    def _should_collect(self, now: float) -> bool:
        if self.durability is Durability.MEMORY or not len(self._queue):
            return False
        if self.durability is Durability.SPILL and self._queue.is_brimming():
            return True
        return self._collects_when_due() and self._due_in(now) <= 0

    def _collects_when_due(self) -> bool:
        return self.durability is Durability.DISK or (
            self.durability is Durability.SPILL and not self.health.is_up and not self.closing
        )

    def _collects_in(self, now: float) -> float:
        if self.durability is Durability.MEMORY or not len(self._queue):
            return NEVER
        brimming = self.durability is Durability.SPILL and self._queue.is_brimming()
        due = 0.0 if brimming else self._due_in(now) if self._collects_when_due() else NEVER
        return max(due, self.store.keeps_in(now))

    def _sends_in(self, now: float) -> list[float]:
        waits = [max(0.0, parcel.blame.not_before - now) for parcel in self._held]
        if self.store.has_more():
            waits.append(max(0.0, self.store.usable_in(now), self._stock_at - now))
        if self._case is not None:
            waits += [max(0.0, part.blame.not_before - now) for part in self._case.parts]
        if self._may_send_from_queue(now):
            waits.append(self._due_in(now))
        return waits

    def _from_case(self, now: float) -> Parcel | None:
        """Choose the part that is the most likely to pass, for a pass proves that the other side works."""
        parts = self._case.parts if self._case else []
        due = [part for part in parts if part.blame.not_before <= now]
        if not due:
            return None
        part = min(due, key=lambda each: (each.blame.refusals, len(each.entries)))
        parts.remove(part)
        return part

    def _from_stock(self, now: float) -> Parcel | None:
        return self._from_memory(now) or self._from_disk(now)

    def _from_memory(self, now: float) -> Parcel | None:
        due = [parcel for parcel in self._held if parcel.blame.not_before <= now]
        if not due:
            return None
        parcel = min(due, key=lambda held: held.blame.refusals)
        self._held.remove(parcel)
        self._queue.hold(-cost(parcel.entries))
        self._stats.move(len(parcel.entries), Place.QUEUED, Place.IN_FLIGHT)
        return parcel

    def _from_disk(self, now: float) -> Parcel | None:
        if now < self._stock_at:
            return None
        found = self.store.take(now, [row for row, blame in self._blames.items() if blame.not_before > now])
        if found is None:
            self._stock_at = now + LOOK_AGAIN_S
            return None
        row, entries = found
        return Parcel(entries, now, row, blame=self._blames.get(row, Blame()))

    def _from_queue(self, now: float) -> Parcel | None:
        if not self._may_send_from_queue(now) or self._due_in(now) > 0:
            return None
        entries, since = self._queue.take()
        self._stats.move(len(entries), Place.QUEUED, Place.IN_FLIGHT)
        return Parcel(entries, since)

    def _may_send_from_queue(self, now: float) -> bool:
        return self.durability is not Durability.DISK or not self.store.can_keep(now)

    def _passed(self, parcel: Parcel, seconds: float, now: float) -> None:
        self._passes += 1
        self._refusals = 0
        self.health.passed()
        size = sum(map(len, parcel.entries))
        self._stats.ship(len(parcel.entries), size)
        if parcel.case is not None:
            self._part_is_done(parcel.case, now)
        elif parcel.row is not None:
            self._blames.pop(parcel.row, None)
            self.store.remove(parcel.row, now)
        self._report.shipped(len(parcel.entries), size, seconds)
        self.observe(parcel.entries, Outcome.SHIPPED, "")

    def _fail(self, result: SendResult, now: float, wall: float) -> None:
        """Let everything wait; not long at first where one batch may be to blame."""
        kind = result.kind
        doubtful = blames_entries(result.status) and self._refusals <= ROW_OF_REFUSALS
        pace = Kind.TRANSIENT if doubtful else kind
        self.health.failed(pace, now, self._chance(), retry.retry_after_s(result.retry_after, wall))
        self._report.failed(kind, result, now)

    def _refused(self, parcel: Parcel, result: SendResult, now: float, wall: float) -> None:
        pause = retry.wait_s(parcel.blame.refusals + 1, self._chance(), self.health.pace)
        is_suspect = parcel.blame.refusals > 0
        parcel.blame = parcel.blame.again(self._passes, now, pause)
        too_large = result.status == TOO_LARGE
        others_pass = self._passes > (parcel.blame.passes or 0)
        if not (is_suspect and others_pass and result.healthy and self.health.is_up):
            self._take_as_news(result, now, wall, is_excused=too_large or others_pass)
        if len(parcel.entries) > 1:
            ripe = parcel.blame.refusals > 1 or parcel.case is not None
            if too_large or (ripe and (others_pass or result.healthy)):
                return self._split(parcel, now)
        elif too_large or self._is_guilty(parcel.blame, result, now):
            return self._condemn(parcel, result, now)
        return self._put_back(parcel, now)

    def _take_as_news(self, result: SendResult, now: float, wall: float, *, is_excused: bool) -> None:
        """Doubt the other side after a refusal; that what is under suspicion is refused once more tells nothing."""
        self._refusals += 1
        if not is_excused or self._refusals > ROW_OF_REFUSALS:
            self._fail(result, now, wall)

    def _is_guilty(self, blame: Blame, result: SendResult, now: float) -> bool:
        """An entry is to blame if it is refused again and again while others pass.

        Where nothing else can pass, because it is all there is, health and much patience have to do.
        """
        if blame.refusals < self.health.pace.refusals:
            return False
        if self._passes > blame.own_passes:
            return True
        patient = now - blame.since >= self.health.pace.patience_s
        return bool(result.healthy) and (self._passes > (blame.passes or 0) or patient)

    def _split(self, parcel: Parcel, now: float) -> None:
        case = parcel.case or self._open_case(parcel)
        if case is None:
            return self._put_back(parcel, now)
        case.open += 1
        for half in batch.split(parcel.entries):
            blame = Blame(0, parcel.blame.passes, 0, parcel.blame.since)
            case.parts.append(Parcel(half, parcel.since, case=case, blame=blame))
        return None

    def _open_case(self, parcel: Parcel) -> Case | None:
        """One at a time, so that a misjudged outage splits one batch and not all."""
        if self._case is not None:
            return None
        self._case = Case(parcel.row, parcel.since, open=1)
        return self._case

    def _condemn(self, parcel: Parcel, result: SendResult, now: float) -> None:
        dead = Dead(parcel.entries[0], printable(result.told))
        self._report.condemned(dead.reason, now)
        if parcel.case is None:
            self._bury(Case(parcel.row, parcel.since, dead=[dead]), now)
        else:
            parcel.case.dead.append(dead)
            self._part_is_done(parcel.case, now)

    def _part_is_done(self, case: Case, now: float) -> None:
        case.open -= 1
        if not case.open:
            self._close_case(now)

    def _close_case(self, now: float) -> None:
        """Put what is left of the split batch, and what was found guilty, where it belongs."""
        case, self._case = self._case, None
        if case is not None:
            self._bury(case, now)

    def _bury(self, case: Case, now: float) -> None:
        """Keep the dead letters; without a disk they are told of and forgotten."""
        rest, dead = [entry for part in case.parts for entry in part.entries], case.dead
        if case.row is not None:
            self._blames.pop(case.row, None)
        settled = self.store.settle(case.row, rest, dead, now)
        if settled is not None:
            self._tell_of_settled(rest, dead, settled.kept)
            return
        if self.durability is Durability.MEMORY:
            self._stats.move(len(dead), Place.IN_FLIGHT, Place.REJECTED)
            self._tell_of_settled([], dead, len(dead))
            dead = []
        self._remember(case, rest + [letter.entry for letter in dead], now)

    def _tell_of_settled(self, rest: Sequence[bytes], dead: Sequence[Dead], kept: int | None) -> None:
        if kept is None:
            return
        self.observe(rest, Outcome.SPOOLED, self._trouble)
        for letter in dead[:kept]:
            self.observe([letter.entry], Outcome.REJECTED, letter.reason)
        self.observe([letter.entry for letter in dead[kept:]], Outcome.DROPPED, Dropped.DEAD_FULL)

    def _remember(self, case: Case, left: list[bytes], now: float) -> None:
        """Keep in memory what the disk does not take now: the guilty are found guilty again later."""
        if case.row is not None:
            self.store.remove(case.row, now)
        if left:
            self._hold(Parcel(left, case.since))

    def _put_back(self, parcel: Parcel, now: float) -> None:
        count, refused = len(parcel.entries), bool(parcel.blame.refusals)
        if parcel.case is not None:
            parcel.case.parts.append(parcel)
            return
        if parcel.row is not None and self.store.put_back(parcel.row, count, now, refused=refused):
            row: Row | None = parcel.row
        else:
            row = self._spill(parcel, now)
        if row is None:
            self._hold(parcel)
            return
        if refused:
            self._blames[row] = parcel.blame
        self.observe(parcel.entries, Outcome.SPOOLED, self._trouble)

    def _rescue(self, parcel: Parcel, now: float) -> None:
        """Take back what a fault of our own has left with nobody; it stays off the disk, which may be the cause."""
        if parcel.case is not None:
            parcel.case.parts.append(parcel)
        elif parcel.row is None or not self.store.put_back(parcel.row, len(parcel.entries), now, refused=False):
            self._hold(parcel)

    def _spill(self, parcel: Parcel, now: float) -> Row | None:
        if self.durability is Durability.MEMORY:
            return None
        return self.store.keep(parcel.entries, Place.IN_FLIGHT, now)

    def _hold(self, parcel: Parcel) -> None:
        parcel.row = None
        self._stats.move(len(parcel.entries), Place.IN_FLIGHT, Place.QUEUED)
        self._queue.hold(cost(parcel.entries))
        self._held.append(parcel)
        self.observe(parcel.entries, Outcome.QUEUED, self._trouble)

    def _left(self, rest: Sequence[bytes]) -> deque[Sequence[bytes]]:
        """Take what is in memory, as batches: what was tried in vain, and `rest` of the queue."""
        left = deque(parcel.entries for parcel in self._held)
        self._held.clear()
        self._queue.hold(-sum(map(cost, left)))
        waiting = deque(rest)
        while waiting:
            left.append(batch.take(waiting, self._queue.limits))
        return left

    def _keep_rest(self, left: deque[Sequence[bytes]], now: float) -> None:
        """Write batches to disk, many at a time, for each time is one of waiting; as many as it takes leave `left`.

        Where there is no room for many, there may be for half of them.
        """
        size = WRITE_BYTES
        while left:
            some = _some(left, size)
            if self.store.keep_all(some, Place.QUEUED, now):
                for _ in some:
                    self.observe(left.popleft(), Outcome.SPOOLED, self._trouble)
            elif len(some) > 1 and self.store.is_usable(now):
                size = sum(map(cost, some)) // 2
                self.store.insist()
            else:
                return


def _some(batches: Iterable[Sequence[bytes]], size: int) -> list[Sequence[bytes]]:
    """Return the first batches, which hold no more than `size` bytes in memory, but at least one."""
    some: list[Sequence[bytes]] = []
    for entries in batches:
        size -= cost(entries)
        if some and size < 0:
            break
        some.append(entries)
    return some
