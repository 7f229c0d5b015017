"""The spool as the shipper uses it: counted, and never in the way when the disk fails."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

from akto_mirror.accounts import Stats
from akto_mirror.contents import Contents
from akto_mirror.delivery.spool.errors import NoSpaceError, SpoolBusy, SpoolDamaged, SpoolError, SpoolFull
from akto_mirror.delivery.spool.lock import LOCK_S
from akto_mirror.delivery.spool.spool import Dead, Spool
from akto_mirror.outcomes import Dropped, Outcome, Place

logger = logging.getLogger(__name__)

T = TypeVar("T")

# After trouble with the disk it is left alone for so long.
RETRY_S = 30.0

# After a wait for another process's lock in vain it is left alone for a second more; longer if the lock lasts.
BUSY_S = LOCK_S + 1.0

# A full spool is tried again after so long; sooner if a batch has left it. So is a full disk that did not even give
# back what is on it.
FULL_RETRY_S = 5.0

# Between two steps of what is done in steps, so that other processes come to write.
STEP_PAUSE_S = 0.1


_files = itertools.count()
_rests = itertools.count(1)


class Row(NamedTuple):
    """A batch on disk: its id in the file that was in use then."""

    file: int
    id: int


class Settled(NamedTuple):
    """How many dead letters found room, the first ones; None if somebody else has taken the batch over."""

    kept: int | None


class Store:
    """Keeps batches on disk and counts them; trouble is told once and leaves them where they were.

    Args:
        spool: the spool; None keeps everything in memory.
        stats: where entries are counted; `spooled` there is always what this process has on disk, less what is in
            flight.

    Attributes:
        contents: which entries are in which batches, so that what is counted is told of single entries, too.
    """

    def __init__(self, spool: Spool | None, stats: Stats) -> None:
        self._spool = spool
        self._stats = stats
        self._file = next(_files)
        self._busy: set[Row] = set()
        self._gone: set[Row] = set()
        self._retry_at = float("-inf")
        self._keep_at = float("-inf")
        self._beat_at = float("-inf")
        self._adopted = 0
        self._busy_s = BUSY_S
        self._troubled = False
        self._told_full = False
        self._told: set[str] = set()
        self.contents = Contents()

    @property
    def spool(self) -> Spool | None:
        """The spool behind it."""
        return self._spool

    def is_usable(self, now: float) -> bool:
        """Tell whether batches can be taken."""
        return self._spool is not None and now >= self._retry_at

    def can_keep(self, now: float) -> bool:
        """Tell whether batches can be kept."""
        return self.is_usable(now) and now >= self._keep_at

    def keeps_in(self, now: float) -> float:
        """Return the seconds until batches can be kept; infinity without a spool."""
        return float("inf") if self._spool is None else max(0.0, self._retry_at - now, self._keep_at - now)

    def usable_in(self, now: float) -> float:
        """Return the seconds until batches can be taken; infinity without a spool."""
        return float("inf") if self._spool is None else max(0.0, self._retry_at - now)

    def beats_in(self, now: float) -> float:
        """Return the seconds until the next sign of life."""
        return float("inf") if self._spool is None else max(0.0, self._retry_at - now, self._beat_at - now)

    def has_more(self) -> bool:
        """Tell whether a batch waits on disk."""
        return self._stats.count(Place.SPOOLED) > 0

    def keep(self, entries: Sequence[bytes], start: Place, now: float) -> Row | None:
        """Write a batch to disk; None if that is not possible."""
        if not self.can_keep(now):
            return None
        number = self._attempt(now, lambda spool: spool.put(entries), is_large=True)
        if number is None:
            return None
        self._stats.move(len(entries), start, Place.SPOOLED)
        row = Row(self._file, number)
        self.contents.put(row, entries)
        return row

    def keep_all(self, batches: Sequence[Sequence[bytes]], start: Place, now: float) -> bool:
        """Write batches to disk, all or none of them, in one transaction; False if that is not possible."""
        if not self.can_keep(now) or self._attempt(now, lambda spool: spool.put_all(batches), is_large=True) is None:
            return False
        self._stats.move(sum(map(len, batches)), start, Place.SPOOLED)
        return True

    def take(self, now: float, later: Collection[Row] = ()) -> tuple[Row, list[bytes]] | None:
        """Take the next batch to be sent, but none of those for later; it stays on disk until it is removed."""
        if not self.has_more() or not self.is_usable(now):
            return None
        skip = self._known(self._busy | self._gone | set(later))
        stored = self._attempt(now, lambda spool: spool.next(skip))
        self._count_damaged(now)
        if stored is None:
            self._reconcile(now)
            return None
        row = Row(self._file, stored.id)
        self._busy.add(row)
        self._stats.move(len(stored.entries), Place.SPOOLED, Place.IN_FLIGHT)
        return row, stored.entries

    def put_back(self, row: Row, count: int, now: float, *, refused: bool) -> bool:
        """Leave a batch that was in flight on disk; False if it is not there any more."""
        self._busy.discard(row)
        if row.file != self._file:
            self.contents.forget(row)
            return False
        self._stats.move(count, Place.IN_FLIGHT, Place.SPOOLED)
        if refused:
            self._attempt(now, lambda spool: spool.blame(row.id))
        return True

    def remove(self, row: Row, now: float) -> None:
        """Forget a batch that was shipped; if the disk fails now, later."""
        self._busy.discard(row)
        self.contents.forget(row)
        if row.file == self._file:
            self._gone.add(row)
            self._remove_gone(now)

    def settle(self, row: Row | None, rest: Sequence[bytes], dead: Sequence[Dead], now: float) -> Settled | None:
        """Put `rest` and the dead letters, all in flight, in the place of a batch; None if the disk fails."""
        known = row.id if row is not None and row.file == self._file else None
        done = self._attempt(now, lambda spool: (_settle(spool, known, rest, dead),))
        if done is None:
            return None
        if row is not None:
            self._busy.discard(row)
            self.contents.forget(row)
        if rest and done[0] is not None:
            # Its number is not known, but it is in this file.
            self.contents.put(Row(self._file, -next(_rests)), rest)
        self._count_settled(len(rest), len(dead), done[0])
        return Settled(done[0])

    def _count_settled(self, rest: int, dead: int, kept: int | None) -> None:
        if kept is None:
            return self._stats.move(rest + dead, Place.IN_FLIGHT, Place.HANDED_OVER)
        self._stats.move(rest, Place.IN_FLIGHT, Place.SPOOLED)
        self._stats.move(kept, Place.IN_FLIGHT, Place.REJECTED)
        return self._stats.drop(dead - kept, Place.IN_FLIGHT, Dropped.DEAD_FULL)

    def beat(self, now: float) -> None:
        """Give a sign of life where it is time, and take over what others left."""
        spool = self._spool
        if spool is None or self.beats_in(now) > 0:
            return
        self._beat_at = now + spool.lease_s / 3
        if not spool.exists() and not self._stats.count(Place.SPOOLED):
            return
        self._remove_gone(now)
        found = self._attempt(now, lambda spool: spool.adopt())
        self._tell_of_others(spool)
        self._count_adopted(found or 0, spool)
        self._reconcile(now)
        if found is not None and not self.has_more():
            self._attempt(now, lambda spool: spool.tidy())
        if spool.unfinished:
            self._beat_at = now + STEP_PAUSE_S

    def _tell_of_others(self, spool: Spool) -> None:
        """Tell of files of other versions, once."""
        for note in spool.notes():
            if note not in self._told:
                self._told.add(note)
                logger.warning("akto: %s", note)

    def _count_adopted(self, found: int, spool: Spool) -> None:
        self._stats.recover(found)
        self._adopted += found
        if self._adopted and not spool.unfinished:
            logger.info("akto: took over %d entries from the spool", self._adopted)
            self._adopted = 0

    def close(self, now: float) -> None:
        """Leave what is on disk to whoever comes next."""
        self._retry_at = float("-inf")
        self._remove_gone(now)
        self._attempt(now, lambda spool: spool.release())
        if self._spool is not None:
            self._spool.close()

    def retarget(self, target: str, now: float) -> None:
        """Let this process's batches go somewhere else from now on: the next sign of life sees to those on disk."""
        if self._spool is not None and target != self._spool.target:
            self._spool.target = target
            self._beat_at = now

    def insist(self) -> None:
        """Let the next use go to the disk whatever happened before."""
        self._retry_at = self._keep_at = float("-inf")

    def _known(self, rows: set[Row]) -> list[int]:
        return [row.id for row in rows if row.file == self._file]

    def _remove_gone(self, now: float) -> None:
        numbers = self._known(self._gone)
        if numbers and self._attempt(now, lambda spool: spool.remove(numbers)) is not None:
            self._gone.clear()
            self._make_room()

    def _make_room(self) -> None:
        """Something has left the spool: a bound that was reached is so no more."""
        if self._told_full:
            self._told_full = False
            self._keep_at = float("-inf")

    def _count_damaged(self, now: float) -> None:
        if self._spool is not None and self._spool.damaged:
            count = len(self._spool.damaged)
            logger.warning("akto: %d batches are damaged on disk; they are among the dead letters", count)
            rows = [Row(self._file, number) for number in self._spool.damaged]
            self._spool.damaged.clear()
            self._reconcile(now, damaged=True)
            self.contents.lose(rows, Outcome.DROPPED, Dropped.DAMAGED)

    def _reconcile(self, now: float, *, damaged: bool = False) -> None:
        """Count what somebody else took out of the spool, or what was found damaged there."""
        skip = self._known(self._busy | self._gone)
        owned = self._attempt(now, lambda spool: spool.owned(skip))
        if owned is None:
            return
        lost = self._stats.count(Place.SPOOLED) - owned
        if lost > 0 and damaged:
            self._stats.drop(lost, Place.SPOOLED, Dropped.DAMAGED)
        elif lost > 0:
            self._stats.move(lost, Place.SPOOLED, Place.HANDED_OVER)
            self._tell_of_handed_over(now)
        elif lost < 0:
            self._stats.recover(-lost)

    def _tell_of_handed_over(self, now: float) -> None:
        owned = self._attempt(now, lambda spool: spool.owned_ids())
        if owned is not None:
            kept = {Row(self._file, number) for number in owned} | self._busy | self._gone
            lost = [row for row in self.contents.besides(kept) if isinstance(row, Row) and row.id > 0]
            self.contents.lose(lost, Outcome.HANDED_OVER)

    def _attempt(self, now: float, action: Callable[[Spool], T], *, is_large: bool = False) -> T | None:
        """Do something with the spool; None if the disk fails."""
        if self._spool is None or not self.is_usable(now):
            return None
        try:
            done = self._insist(self._spool, action)
        except SpoolFull as error:
            self._be_full(error, now)
            return None
        except SpoolError as error:
            self._be_troubled(error, now, is_large=is_large)
            return None
        self._recover(is_large=is_large)
        return done

    def _insist(self, spool: Spool, action: Callable[[Spool], T]) -> T:
        try:
            return action(spool)
        except SpoolDamaged as error:
            self._set_aside(spool, error)
        return action(spool)

    def _set_aside(self, spool: Spool, fault: SpoolDamaged) -> None:
        aside = spool.set_aside()
        self._file = next(_files)
        self._gone.clear()
        lost = self._stats.count(Place.SPOOLED)
        self._stats.drop(lost, Place.SPOOLED, Dropped.DAMAGED)
        self.contents.lose(self.contents.besides(self._busy), Outcome.DROPPED, Dropped.DAMAGED)
        where = f"; it was renamed to {aside}" if aside else ""
        logger.warning("akto: %s%s; %d entries of this process were in it", fault, where, lost)

    def _be_full(self, fault: SpoolFull, now: float) -> None:
        self._keep_at = now + FULL_RETRY_S
        if not self._told_full:
            self._told_full = True
            logger.warning("akto: %s (akto_spool_bytes); entries stay in memory from now on", fault)

    def _be_troubled(self, fault: SpoolError, now: float, *, is_large: bool) -> None:
        """Leave the disk alone; where it is only full it can still give back what is on it."""
        if isinstance(fault, SpoolBusy):
            return self._be_patient(fault, now)
        if isinstance(fault, NoSpaceError):
            self._keep_at = now + RETRY_S
            self._retry_at = self._retry_at if is_large else now + FULL_RETRY_S
        else:
            self._retry_at = now + RETRY_S
        return self._tell(fault)

    def _be_patient(self, fault: SpoolBusy, now: float) -> None:
        """Try again soon: another process's lock is no trouble, unless it lasts."""
        self._retry_at = now + self._busy_s
        if self._busy_s > BUSY_S:
            self._tell(fault)
        self._busy_s = min(2 * self._busy_s, RETRY_S)

    def _tell(self, fault: SpoolError) -> None:
        if not self._troubled:
            self._troubled = True
            logger.warning("akto: the spool cannot be used: %s; entries stay in memory meanwhile", fault)

    def _recover(self, *, is_large: bool) -> None:
        self._busy_s = BUSY_S
        if self._troubled and is_large:
            self._troubled = False
            logger.info("akto: the spool works again")


def _settle(spool: Spool, number: int | None, rest: Sequence[bytes], dead: Sequence[Dead]) -> int | None:
    """Replace a batch, on a full disk in two steps: first its room is given back to the file, then taken again."""
    try:
        return spool.settle(number, rest, dead)
    except NoSpaceError:
        if number is None or spool.settle(number, [], []) is None:
            raise
        return spool.settle(None, rest, dead)
