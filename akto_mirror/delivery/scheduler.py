"""Which batch is sent next, and what becomes of it: decisions only, one step at a time, without threads or clocks.

Entries wait in the queue, in the store (on disk), or, where there is none, in batches held in memory. A batch that Akto
refuses while it takes others is split until the entries to blame stand alone (`poison` decides about that).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from akto_mirror.accounts import Stats
from akto_mirror.contents import Observer
from akto_mirror.delivery import batch, retry
from akto_mirror.delivery.bisections import NEIGHBOURS, Bisection, Bisections, Parcel
from akto_mirror.delivery.poison import Act, Poison, Refusals, Refused
from akto_mirror.delivery.queue import Queue, cost
from akto_mirror.delivery.report import Report
from akto_mirror.delivery.retry import Durability, Health, Pace
from akto_mirror.delivery.sinks.base import EntryVerdict, SendResult
from akto_mirror.delivery.sinks.symptoms import TOO_LARGE, Kind
from akto_mirror.delivery.spool.spool import Dead
from akto_mirror.delivery.spool.store import Row, Store
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Dropped, Outcome, Place

# When every batch on disk has to wait after a refusal, it is looked for others after this many seconds.
LOOK_AGAIN_S = 0.1

# So many bytes are written to disk at a time when there is no time for one batch after another.
WRITE_BYTES = 8 * 1024 * 1024

NEVER = float("inf")


Source = Callable[[float], Parcel | None]


def _nobody(_entries: Sequence[bytes | int], _outcome: Outcome, _reason: str) -> None:
    """Take no notice."""


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
        self._observe: Observer = _nobody
        self._trouble = ""
        self._poison = Poison()
        self._bisections = Bisections()
        self._held: list[Parcel] = []
        self._flying: Parcel | None = None
        self._refusals: dict[Row, Refusals] = {}
        self._stock_at = float("-inf")
        self._sources = deque((self._from_parts, self._from_stock, self._from_queue))

    def observe(self, observer: Observer) -> None:
        """Have somebody told what becomes of entries, and why, on the shipper's thread."""
        self._observe = self.store.contents.observe = observer

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
            self._observe(taken.entries, Outcome.SPOOLED, self._trouble)

    def next(self, now: float) -> Parcel | None:
        """Choose what is sent now; None if there is nothing, or if it is too early for another try."""
        if self.health.due_in(now) > 0:
            return None
        for source in self._next_sources():
            if parcel := source(now):
                self._flying = parcel
                return parcel
        return None

    def _next_sources(self) -> list[Source]:
        """Take turns; where a pass is wanted what is likely to pass comes first, and last what was refused before."""
        if self._is_busy_splitting():
            return [self._from_parts]
        if self._wants_pass():
            return [self._from_fresh_parts, *self._turn()]
        return self._turn()

    def _wants_pass(self) -> bool:
        return not self.health.is_up or self._poison.row >= NEIGHBOURS

    def _turn(self) -> list[Source]:
        sources: list[Source] = list(self._sources)
        self._sources.rotate(-1)
        return sources

    def _is_busy_splitting(self) -> bool:
        """Tell whether so much is being split that another batch could only be put back."""
        return self.health.is_up and self._bisections.is_crowded()

    def since(self) -> float:
        """Return when the oldest entry came that was taken to be sent; infinity if there is none; for any thread."""
        waiting = (self._flying, *self._bisections.open, *self._held)
        return min((each.since for each in waiting if each is not None), default=NEVER)

    def wants_health(self, now: float) -> bool:
        """Tell whether a health check would decide something, should what is sent now be refused."""
        return self._poison.wants_health(now)

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
        verdicts = result.verdicts_of(len(parcel.entries))
        found = set(verdicts)
        self._trouble = "" if found == {EntryVerdict.DELIVERED} else result.told
        self._stats.attempt(seconds, ok=found == {EntryVerdict.DELIVERED})
        if found == {EntryVerdict.DELIVERED}:
            self._passed(parcel, seconds, now)
        elif found == {EntryVerdict.UNKNOWN}:
            self._fail(result, now, wall)
            self._put_back(parcel, now)
        elif result.verdicts and len(parcel.entries) > 1:
            self._divide(parcel, result, seconds, now, wall)
        else:
            self._refused(parcel, result, now, wall)

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
        return not (len(self._queue) or self._held or self._bisections.open or on_disk)

    def finish_up(self, rest: Sequence[bytes], now: float) -> None:
        """Write to disk, or give up, what is left in memory: `rest` of the queue, and what was tried in vain."""
        if self.durability is not Durability.MEMORY:
            self.store.insist()
        self._close_bisections(now)
        left = self._left(rest)
        if self.durability is not Durability.MEMORY:
            self._keep_rest(left, now)
        for entries in left:
            self._stats.drop(len(entries), Place.QUEUED, Dropped.SHUTDOWN)
            self._observe(entries, Outcome.DROPPED, Dropped.SHUTDOWN)

    def move(self, store: Store, now: float) -> None:
        """Use another disk from now on; what is on the old one stays there for whoever uses it next."""
        self._close_bisections(now)
        left = self._stats.count(Place.SPOOLED)
        self.store.close(now)
        self._stats.move(left, Place.SPOOLED, Place.HANDED_OVER)
        self.store.contents.lose(self.store.contents.besides(()), Outcome.HANDED_OVER)
        store.contents.observe = self.store.contents.observe
        self._refusals.clear()
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
        if self._is_busy_splitting():
            return [self._bisections.due_in(now)]
        waits = [max(0.0, parcel.refusals.not_before - now) for parcel in self._held]
        waits.append(self._bisections.due_in(now))
        if self.store.has_more():
            waits.append(max(0.0, self.store.usable_in(now), self._stock_at - now))
        if self._may_send_from_queue(now):
            waits.append(self._due_in(now))
        return waits

    def _from_parts(self, now: float) -> Parcel | None:
        parts, poison = self._bisections, self._poison
        settling = None if self._wants_pass() else parts.take_settling(now, poison.passes)
        return settling or self._from_fresh_parts(now) or parts.take_refused(now)

    def _from_fresh_parts(self, _: float) -> Parcel | None:
        return self._bisections.take_fresh(self._poison.row)

    def _from_refused_parts(self, now: float) -> Parcel | None:
        return self._bisections.take_refused(now)

    def _from_stock(self, now: float) -> Parcel | None:
        return self._from_memory(now) or self._from_disk(now)

    def _from_memory(self, now: float) -> Parcel | None:
        due = [parcel for parcel in self._held if parcel.refusals.not_before <= now]
        if not due:
            return None
        parcel = min(due, key=lambda held: held.refusals.count)
        self._held.remove(parcel)
        self._queue.hold(-cost(parcel.entries))
        self._stats.move(len(parcel.entries), Place.QUEUED, Place.IN_FLIGHT)
        return parcel

    def _from_disk(self, now: float) -> Parcel | None:
        if now < self._stock_at:
            return None
        found = self.store.take(now, [row for row, known in self._refusals.items() if known.not_before > now])
        if found is None:
            self._stock_at = now + LOOK_AGAIN_S
            return None
        row, entries = found
        return Parcel(entries, now, row, refusals=self._refusals.get(row, Refusals()))

    def _from_queue(self, now: float) -> Parcel | None:
        if not self._may_send_from_queue(now) or self._due_in(now) > 0:
            return None
        entries, since = self._queue.take()
        self._stats.move(len(entries), Place.QUEUED, Place.IN_FLIGHT)
        return Parcel(entries, since)

    def _may_send_from_queue(self, now: float) -> bool:
        return self.durability is not Durability.DISK or not self.store.can_keep(now)

    def _passed(self, parcel: Parcel, seconds: float, now: float) -> None:
        self._count_shipped(parcel.entries, seconds, now)
        if parcel.part_of is not None:
            self._part_is_done(parcel.part_of, now)
        elif parcel.row is not None:
            self._refusals.pop(parcel.row, None)
            self.store.remove(parcel.row, now)

    def _count_shipped(self, entries: Sequence[bytes], seconds: float, now: float) -> None:
        self._poison.passed(len(entries), now)
        self.health.passed()
        size = sum(map(len, entries))
        self._stats.ship(len(entries), size)
        self._report.shipped(len(entries), size, seconds)
        self._observe(entries, Outcome.SHIPPED, "")

    def _divide(self, parcel: Parcel, result: SendResult, seconds: float, now: float, wall: float) -> None:
        """Let each entry go the way of its own verdict."""
        groups: dict[EntryVerdict, list[bytes]] = {verdict: [] for verdict in EntryVerdict}
        for entry, verdict in zip(parcel.entries, result.verdicts, strict=True):
            groups[verdict].append(entry)
        if delivered := groups[EntryVerdict.DELIVERED]:
            self._count_shipped(delivered, seconds, now)
        if unknown := groups[EntryVerdict.UNKNOWN]:
            self._fail(result, now, wall)
        whole = parcel.part_of or self._bisections.open_for(parcel)
        whole.open += (parcel.part_of is None) + len(groups[EntryVerdict.REFUSED])
        whole.dead += [self._dead(entry, result, now) for entry in groups[EntryVerdict.TOO_LARGE]]
        for entry in groups[EntryVerdict.REFUSED]:
            self._refused(Parcel([entry], parcel.since, part_of=whole), result, now, wall)
        if unknown:
            self._bisections.add(Parcel(unknown, parcel.since, part_of=whole))
        if whole.open == 1:
            self._close(whole, now)
        elif not unknown:
            whole.open -= 1

    def _fail(self, result: SendResult, now: float, wall: float) -> None:
        """Let everything wait; not long at first where one batch may be to blame."""
        early = result.blames_entries and self._poison.is_early()
        if result.blames_entries and result.healthy:
            self.health.failures = self._poison.failures()
        pace = Kind.TRANSIENT if early else result.kind
        self.health.failed(pace, now, self._chance(), retry.retry_after_s(result.retry_after, wall))
        self._report.failed(result.kind, result, now)

    def _refused(self, parcel: Parcel, result: SendResult, now: float, wall: float) -> None:
        pause = retry.wait_s(parcel.refusals.count + 1, self._chance(), self.health.pace)
        what = Refused(
            parcel.refusals,
            len(parcel.entries),
            is_part=parcel.part_of is not None,
            healthy=result.healthy,
            is_too_large=result.status == TOO_LARGE,
        )
        parcel.refusals, act, doubts = self._poison.refused(what, now, pause, self.health.pace)
        if doubts:
            self._fail(result, now, wall)
        if act is Act.SPLIT:
            self._split(parcel, now)
        elif act is Act.REJECT:
            self._reject(parcel, result, now)
        else:
            self._put_back(parcel, now)

    def _split(self, parcel: Parcel, now: float) -> None:
        several = self._poison.is_season(now)
        whole = parcel.part_of or self._bisections.begin(parcel, several=several)
        if whole is None:
            return self._put_back(parcel, now)
        parts = batch.split(parcel.entries, self._poison.parts(len(parcel.entries)))
        whole.open += len(parts) - (parcel.part_of is not None)
        for part in reversed(parts):
            self._bisections.add(Parcel(part, parcel.since, part_of=whole, refusals=parcel.refusals.of_part()))
        return None

    def _reject(self, parcel: Parcel, result: SendResult, now: float) -> None:
        dead = self._dead(parcel.entries[0], result, now)
        if parcel.part_of is None:
            self._settle(parcel.row, parcel.since, [], [dead], now)
        else:
            parcel.part_of.dead.append(dead)
            self._part_is_done(parcel.part_of, now)

    def _dead(self, entry: bytes, result: SendResult, now: float) -> Dead:
        dead = Dead(entry, printable(result.told))
        self._report.condemned(dead.reason, now)
        return dead

    def _part_is_done(self, whole: Bisection, now: float) -> None:
        whole.open -= 1
        if not whole.open:
            self._close(whole, now)

    def _close_bisections(self, now: float) -> None:
        for whole in list(self._bisections.open):
            self._close(whole, now)

    def _close(self, whole: Bisection, now: float) -> None:
        """Put what is left of a batch that was split, and what of it was rejected, where it belongs."""
        rest = self._bisections.close(whole)
        self._settle(whole.row, whole.since, rest, whole.dead, now)

    def _settle(self, row: Row | None, since: float, rest: list[bytes], dead: list[Dead], now: float) -> None:
        """Keep the dead letters; without a disk they are told of and forgotten."""
        if row is not None:
            self._refusals.pop(row, None)
        settled = self.store.settle(row, rest, dead, now)
        if settled is not None:
            self._tell_of_settled(rest, dead, settled.kept)
            return
        if self.durability is Durability.MEMORY:
            self._stats.move(len(dead), Place.IN_FLIGHT, Place.REJECTED)
            self._tell_of_settled([], dead, len(dead))
            dead = []
        self._remember(row, since, rest + [letter.entry for letter in dead], now)

    def _tell_of_settled(self, rest: Sequence[bytes], dead: Sequence[Dead], kept: int | None) -> None:
        if kept is None:
            return
        self._observe(rest, Outcome.SPOOLED, self._trouble)
        for letter in dead[:kept]:
            self._observe([letter.entry], Outcome.REJECTED, letter.reason)
        self._observe([letter.entry for letter in dead[kept:]], Outcome.DROPPED, Dropped.DEAD_FULL)

    def _remember(self, row: Row | None, since: float, left: list[bytes], now: float) -> None:
        """Keep in memory what the disk does not take now: what is to be rejected is found out again later."""
        if row is not None:
            self.store.remove(row, now)
        if left:
            self._hold(Parcel(left, since))

    def _put_back(self, parcel: Parcel, now: float) -> None:
        count, refused = len(parcel.entries), bool(parcel.refusals.count)
        if parcel.part_of is not None:
            self._bisections.add(parcel)
            return
        if parcel.row is not None and self.store.put_back(parcel.row, count, now, refused=refused):
            row: Row | None = parcel.row
        else:
            row = self._spill(parcel, now)
        if row is None:
            self._hold(parcel)
            return
        if refused:
            self._refusals[row] = parcel.refusals
        self._observe(parcel.entries, Outcome.SPOOLED, self._trouble)

    def _rescue(self, parcel: Parcel, now: float) -> None:
        """Take back what a fault of our own has left with nobody; it stays off the disk, which may be the cause."""
        if parcel.part_of is not None:
            self._bisections.add(parcel)
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
        self._observe(parcel.entries, Outcome.QUEUED, self._trouble)

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
                    self._observe(left.popleft(), Outcome.SPOOLED, self._trouble)
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
