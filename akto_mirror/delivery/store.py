"""The spool as the shipper uses it: keeps the counts, and turns disk errors into return values."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import TypeVar

from akto_mirror import counts
from akto_mirror.accounts import Stats
from akto_mirror.contents import Contents
from akto_mirror.delivery.batch import Batch, SpoolId
from akto_mirror.delivery.spool.access import NEVER, Access
from akto_mirror.delivery.spool.errors import NoSpaceError, SpoolDamaged, SpoolError
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.outcomes import Dropped, Outcome, Rejected

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between the steps of long operations, in which other processes can write.
STEP_PAUSE_S = 0.1

_files = itertools.count()
_rests = itertools.count(1)


class Store:
    """Keeps batches on disk and accounts for them; an error is logged once, and leaves batches where they were.

    Args:
        spool: the spool; None keeps everything in memory.
        stats: where entries are accounted for; its `spooled` is always what this process has on disk and is not
            sending.
    """

    def __init__(self, spool: Spool | None, stats: Stats) -> None:
        self.spool = spool
        self._stats = stats
        self._file = next(_files)
        self._busy: set[SpoolId] = set()
        self._gone: set[SpoolId] = set()
        self._beat_at = NEVER
        self._adopted = 0
        self._logged: set[str] = set()
        self._access = Access()
        self._contents = Contents()

    @property
    def where(self) -> str:
        """Where entries wait, as shown in the log."""
        return f"in {self.spool.file.parent}" if self.spool and self.spool.exists() else "in memory"

    def is_usable(self, now: float) -> bool:
        """Return whether batches can be taken."""
        return self.usable_in(now) <= 0

    def can_keep(self, now: float) -> bool:
        """Return whether batches can be kept."""
        return self.keeps_in(now) <= 0

    def keeps_in(self, now: float) -> float:
        """Return the seconds until batches can be kept; infinity without a spool."""
        return float("inf") if self.spool is None else self._access.keeps_in(now)

    def usable_in(self, now: float) -> float:
        """Return the seconds until batches can be taken; infinity without a spool."""
        return float("inf") if self.spool is None else self._access.usable_in(now)

    def beats_in(self, now: float) -> float:
        """Return the seconds until the next heartbeat."""
        return max(self.usable_in(now), self._beat_at - now)

    def has_more(self) -> bool:
        """Return whether a batch waits on disk."""
        return self._stats.count(Outcome.SPOOLED) > 0

    def keep(self, entries: Sequence[bytes], start: Outcome, now: float, reason: str = "") -> SpoolId | None:
        """Write a batch to disk; None if that is not possible."""
        if not self.can_keep(now):
            return None
        number = self._attempt(now, lambda spool: spool.put(entries), is_large=True)
        if number is None:
            return None
        kept = SpoolId(self._file, number)
        self._remember(kept, entries)
        self._stats.move(entries, start, Outcome.SPOOLED, reason)
        return kept

    def keep_all(self, batches: Sequence[Sequence[bytes]], start: Outcome, now: float, reason: str = "") -> bool:
        """Write batches to disk, all or none of them, in one transaction; False if that is not possible."""
        if not self.can_keep(now) or self._attempt(now, lambda spool: spool.put_all(batches), is_large=True) is None:
            return False
        self._stats.move([entry for batch in batches for entry in batch], start, Outcome.SPOOLED, reason)
        return True

    def take(self, now: float, later: Collection[SpoolId] = ()) -> Batch | None:
        """Take the next batch to send, except those for later; it stays on disk until it is removed."""
        if not self.has_more() or not self.is_usable(now):
            return None
        skip = self._known(self._busy | self._gone | set(later))
        stored = self._attempt(now, lambda spool: spool.next(skip))
        self._count_damaged(now)
        if stored is None:
            self._reconcile(now)
            return None
        taken = Batch(stored.entries, now, SpoolId(self._file, stored.id))
        self._busy.add(SpoolId(self._file, stored.id))
        self._stats.move(taken.entries, Outcome.SPOOLED, Outcome.IN_FLIGHT)
        return taken

    def put_back(self, batch: Batch, now: float, *, refused: bool, reason: str = "") -> bool:
        """Let a batch that was in flight wait on disk again; False if it is not in the current file."""
        where = batch.spool_id
        if where is None or not self._release(where):
            return False
        self._stats.move(batch.entries, Outcome.IN_FLIGHT, Outcome.SPOOLED, reason)
        if refused:
            self._attempt(now, lambda spool: spool.postpone(where.id))
        return True

    def _release(self, where: SpoolId) -> bool:
        self._busy.discard(where)
        if where.file != self._file:
            self._contents.take([where])
        return where.file == self._file

    def remove(self, where: SpoolId | None, now: float) -> None:
        """Remove a batch that was shipped; later, if the disk fails now."""
        if where is None:
            return
        self._busy.discard(where)
        self._contents.take([where])
        if where.file == self._file:
            self._gone.add(where)
            self._remove_gone(now)

    def replace(
        self, where: SpoolId | None, rest: Sequence[bytes], dead: Sequence[Rejected], now: float, reason: str = ""
    ) -> bool:
        """Replace a batch that is in flight by `rest` and dead letters; False if the disk fails."""
        known = where.id if where is not None and where.file == self._file else None
        done = self._attempt(now, lambda spool: (_replace(spool, known, rest, dead),))
        if done is None:
            return False
        if where is not None:
            self._busy.discard(where)
            self._contents.take([where])
        if done[0] is None:
            self._stats.move([*rest, *(each.entry for each in dead)], Outcome.IN_FLIGHT, Outcome.HANDED_OVER)
            return True
        # Its id is not known, but it is in this file.
        self._remember(SpoolId(self._file, -next(_rests)), rest)
        self._stats.move(rest, Outcome.IN_FLIGHT, Outcome.SPOOLED, reason)
        self._count_dead(dead, done[0])
        return True

    def _count_dead(self, dead: Sequence[Rejected], kept: int) -> None:
        for letter in dead[:kept]:
            self._stats.move([letter.entry], Outcome.IN_FLIGHT, Outcome.REJECTED, letter.reason)
        left = [letter.entry for letter in dead[kept:]]
        self._stats.move(left, Outcome.IN_FLIGHT, Outcome.DROPPED, Dropped.DEAD_FULL)

    def beat(self, now: float) -> None:
        """Write a heartbeat if it is due, and take over batches that others have left."""
        spool = self.spool
        if spool is None or self.beats_in(now) > 0:
            return
        self._beat_at = now + spool.lease_s / 3
        if not spool.exists() and not self.has_more():
            return
        self._remove_gone(now)
        found = self._attempt(now, lambda spool: spool.adopt())
        self._log_notes(spool)
        self._count_adopted(found or 0, spool)
        self._reconcile(now)
        if found is not None and not self.has_more():
            self._attempt(now, lambda spool: spool.tidy())
        if spool.unfinished:
            self._beat_at = now + STEP_PAUSE_S

    def _log_notes(self, spool: Spool) -> None:
        """Log which files of other versions there are, once."""
        for note in spool.notes():
            if note not in self._logged:
                self._logged.add(note)
                logger.warning("akto: %s", note)

    def _count_adopted(self, found: int, spool: Spool) -> None:
        doubtful, spool.doubtful = spool.doubtful, 0
        self._stats.recover(found, doubtful)
        self._adopted += found
        if self._adopted and not spool.unfinished:
            logger.info("akto: took over %s from the spool", counts.count(self._adopted, "entry"))
            self._adopted = 0

    def close(self, now: float) -> None:
        """Leave the batches on disk to the next session."""
        self.insist()
        self._remove_gone(now)
        self._attempt(now, lambda spool: spool.release())
        if self.spool is not None:
            self.spool.close()

    def hand_over(self, now: float) -> None:
        """Close, and count the batches on disk as another process's from now on."""
        left = self._stats.count(Outcome.SPOOLED)
        self.close(now)
        self._lose(self._contents.besides(()), left, Outcome.HANDED_OVER)

    def retarget(self, target: str, now: float) -> None:
        """Change the destination of this process's batches; the next heartbeat changes it for those on disk."""
        if self.spool is not None and target != self.spool.target:
            self.spool.target = target
            self._beat_at = now

    def insist(self) -> None:
        """Use the disk again the next time, regardless of earlier errors."""
        self._access.insist()

    def _remember(self, where: SpoolId, entries: Sequence[bytes]) -> None:
        if entries and self._stats.is_observed:
            self._contents.put(where, entries)

    def _lose(self, batches: Collection[Hashable], count: int, end: Outcome, reason: str = "") -> None:
        self._stats.move(self._contents.take(batches), Outcome.SPOOLED, end, reason, count=count)

    def _known(self, batches: set[SpoolId]) -> list[int]:
        return [each.id for each in batches if each.file == self._file]

    def _remove_gone(self, now: float) -> None:
        numbers = self._known(self._gone)
        if numbers and self._attempt(now, lambda spool: spool.remove(numbers)) is not None:
            self._gone.clear()
            self._access.has_room()

    def _count_damaged(self, now: float) -> None:
        if self.spool is not None and self.spool.damaged:
            numbers, self.spool.damaged = self.spool.damaged, []
            batches = f"{counts.count(len(numbers), 'batch')} damaged on disk {counts.verb(len(numbers), 'is')}"
            logger.warning("akto: %s now among the dead letters", batches)
            damaged = [SpoolId(self._file, number) for number in numbers]
            self._lose(damaged, max(0, self._missing(now)), Outcome.DROPPED, Dropped.DAMAGED)

    def _missing(self, now: float) -> int:
        """Return how many entries are counted but not on disk; negative if there are more on disk."""
        skip = self._known(self._busy | self._gone)
        owned = self._attempt(now, lambda spool: spool.owned(skip))
        return 0 if owned is None else self._stats.count(Outcome.SPOOLED) - owned

    def _reconcile(self, now: float) -> None:
        """Count entries that another process or a user has removed from the spool."""
        lost = self._missing(now)
        if lost > 0:
            self._lose(self._handed_over(now), lost, Outcome.HANDED_OVER)
        elif lost < 0:
            self._stats.recover(-lost)

    def _handed_over(self, now: float) -> list[Hashable]:
        owned = self._attempt(now, lambda spool: spool.owned_ids()) if self._stats.is_observed else None
        if owned is None:
            return []
        kept = {SpoolId(self._file, number) for number in owned} | self._busy | self._gone
        return [each for each in self._contents.besides(kept) if isinstance(each, SpoolId) and each.id > 0]

    def _attempt(self, now: float, action: Callable[[Spool], T], *, is_large: bool = False) -> T | None:
        """Do something with the spool; None if the disk fails."""
        if self.spool is None or not self.is_usable(now):
            return None
        try:
            done = self._insist(self.spool, action)
        except SpoolError as error:
            self._access.failed(error, now, is_large=is_large)
            return None
        self._access.passed(is_large=is_large)
        self._note_takeovers(self.spool)
        return done

    def _note_takeovers(self, spool: Spool) -> None:
        if spool.takeovers:
            found, spool.takeovers = spool.takeovers, []
            self._stats.take_over(found)

    def _insist(self, spool: Spool, action: Callable[[Spool], T]) -> T:
        try:
            return action(spool)
        except SpoolDamaged as error:
            self._set_aside(spool, error)
        return action(spool)

    def _set_aside(self, spool: Spool, error: SpoolDamaged) -> None:
        aside = spool.set_aside()
        self._file = next(_files)
        self._gone.clear()
        lost = self._stats.count(Outcome.SPOOLED)
        self._lose(self._contents.besides(self._busy), lost, Outcome.DROPPED, Dropped.DAMAGED)
        where = f"; it was renamed to {aside}" if aside else ""
        entries = f"{counts.count(lost, 'entry')} of this process {counts.verb(lost, 'was')}"
        logger.warning("akto: %s%s; %s in it", error, where, entries)


def _replace(spool: Spool, number: int | None, rest: Sequence[bytes], dead: Sequence[Rejected]) -> int | None:
    """Replace a batch, on a full disk in two steps: first its space in the file is freed, then used again."""
    try:
        return spool.replace(number, rest, dead)
    except NoSpaceError:
        if number is None or spool.replace(number, [], []) is None:
            raise
        return spool.replace(None, rest, dead)
