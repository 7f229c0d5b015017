"""The places where batches wait: in the queue, in memory after a failed attempt, and on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from akto_mirror.accounts import Stats
from akto_mirror.delivery.batch import Batch, SpoolId
from akto_mirror.delivery.queue import Queue, cost
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.store import Store
from akto_mirror.outcomes import Dropped, Outcome, Rejected

# If every batch on disk has to wait after a refusal, others are looked for after this many seconds.
LOOK_AGAIN_S = 0.1

# Bytes that are written to disk at a time when there is no time to write single batches.
WRITE_BYTES = 8 * 1024 * 1024

NEVER = float("inf")


class Waiting:
    """Moves batches between the places.

    Args:
        queue: where new entries wait.
        store: the batches on disk.
        stats: where entries are accounted for.
        durability: when batches are written to disk.

    Attributes:
        closing: whether everything is due.
        trouble: why batches wait; empty if nothing has failed.
    """

    def __init__(self, queue: Queue, store: Store, stats: Stats, durability: Durability) -> None:
        self.queue = queue
        self.store = store
        self.durability = durability
        self.closing = False
        self.trouble = ""
        self._stats = stats
        self._disk_at = float("-inf")

    def collect(self, now: float, *, is_up: bool) -> None:
        """Move one batch from the queue to disk, if it has to go there; the next one is due at once.

        Only one, because entries may arrive as fast as they are written, and there is other work.

        Args:
            now: monotonic seconds.
            is_up: whether the destination accepts batches.
        """
        if self.collects_in(now, is_up=is_up) > 0:
            return
        taken, kept = self.queue.take(), None
        try:
            kept = self.store.keep(taken.entries, Outcome.QUEUED, now, self.trouble)
        finally:
            if kept is None:
                self.queue.put_back(taken)

    def collects_in(self, now: float, *, is_up: bool) -> float:
        """Return the seconds until a batch is to be moved from the queue to disk; infinity if none is."""
        if self.durability is Durability.MEMORY or not len(self.queue):
            return NEVER
        spills = self.durability is Durability.SPILL
        if spills and self.queue.is_brimming():
            due = 0.0
        else:
            due = NEVER if spills and (is_up or self.closing) else self._queue_due_in(now)
        return max(due, self.store.keeps_in(now))

    def _queue_due_in(self, now: float) -> float:
        if self.closing:
            return 0.0 if len(self.queue) else NEVER
        return self.queue.due_in(now)

    def is_empty(self, now: float) -> bool:
        """Return whether no entry is waiting that could be sent now."""
        on_disk = self.store.has_more() and self.store.is_usable(now)
        return not (len(self.queue) or self.queue.requeued or on_disk)

    def disk_due_in(self, now: float) -> float:
        """Return the seconds until a batch on disk may be sent; infinity if there is none."""
        return max(0.0, self.store.usable_in(now), self._disk_at - now) if self.store.has_more() else NEVER

    def queue_due_in(self, now: float) -> float:
        """Return the seconds until a batch from the queue may be sent; infinity if it goes to disk first."""
        may = self.durability is not Durability.DISK or not self.store.can_keep(now)
        return self._queue_due_in(now) if may else NEVER

    def take_requeued(self, batch: Batch) -> None:
        """Take a batch whose attempt failed."""
        self.queue.take_requeued(batch)
        self._stats.move(batch.entries, Outcome.QUEUED, Outcome.IN_FLIGHT)

    def take_from_disk(self, now: float, later: Collection[SpoolId]) -> Batch | None:
        """Take a batch from disk, except those for later."""
        if now < self._disk_at:
            return None
        found = self.store.take(now, later)
        if found is None:
            self._disk_at = now + LOOK_AGAIN_S
        return found

    def take_queued(self, now: float) -> Batch | None:
        """Take a batch from the queue if one is due."""
        if self.queue_due_in(now) > 0:
            return None
        taken = self.queue.take()
        self._stats.move(taken.entries, Outcome.QUEUED, Outcome.IN_FLIGHT)
        return taken

    def put_back(self, batch: Batch, now: float, *, refused: bool) -> Batch:
        """Let a batch that was in flight wait, on disk if possible; returns the waiting batch."""
        if self.store.put_back(batch, now, refused=refused, reason=self.trouble):
            return batch
        kept = None
        if self.durability is not Durability.MEMORY:
            kept = self.store.keep(batch.entries, Outcome.IN_FLIGHT, now, self.trouble)
        return self._requeue(batch) if kept is None else Batch(batch.entries, batch.since, kept)

    def rescue(self, batch: Batch, now: float) -> Batch:
        """Take back a batch after an internal error; it is not written to disk, which may be the cause."""
        return batch if self.store.put_back(batch, now, refused=False, reason=self.trouble) else self._requeue(batch)

    def _requeue(self, batch: Batch) -> Batch:
        waiting = Batch(batch.entries, batch.since)
        self.queue.requeue(waiting)
        self._stats.move(batch.entries, Outcome.IN_FLIGHT, Outcome.QUEUED, self.trouble)
        return waiting

    def replace(self, batch: Batch, rest: Sequence[bytes], dead: Sequence[Rejected], now: float) -> None:
        """Replace a batch by its remaining entries and its dead letters, which are only counted without a disk."""
        if self.store.replace(batch.spool_id, rest, dead, now, self.trouble):
            return
        left = [*rest]
        if self.durability is Durability.MEMORY:
            for letter in dead:
                self._stats.move([letter.entry], Outcome.IN_FLIGHT, Outcome.REJECTED, letter.reason)
        else:
            # Entries that cannot be stored as dead letters now will be refused again later.
            left += [letter.entry for letter in dead]
        self.store.remove(batch.spool_id, now)
        if left:
            self._requeue(Batch(left, batch.since))

    def close(self, now: float) -> None:
        """Write the entries in memory to disk, or drop them; the queue accepts no more."""
        left = deque(self.queue.shut())
        if self.durability is not Durability.MEMORY:
            self._keep(left, now)
        for batch in left:
            self._stats.move(batch.entries, Outcome.QUEUED, Outcome.DROPPED, Dropped.SHUTDOWN)
        self.store.close(now)

    def _keep(self, left: deque[Batch], now: float) -> None:
        """Write batches to disk, many at a time because each write waits for the disk; they are removed from `left`.

        If there is no room for many, there may be for half of them.
        """
        size = WRITE_BYTES
        while left:
            some = _some(left, size)
            if self.store.keep_all(some, Outcome.QUEUED, now, self.trouble):
                for _ in some:
                    left.popleft()
            elif len(some) > 1 and self.store.is_usable(now):
                size = sum(map(cost, some)) // 2
                self.store.insist()
            else:
                return


def _some(batches: Iterable[Batch], size: int) -> list[Sequence[bytes]]:
    """Return the entries of the first batches, up to `size` bytes of memory, but at least one batch."""
    some: list[Sequence[bytes]] = []
    for batch in batches:
        size -= cost(batch.entries)
        if some and size < 0:
            break
        some.append(batch.entries)
    return some
