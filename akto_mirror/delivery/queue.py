"""The bounded queue between the proxy's event loop and the shipper."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from akto_mirror.akto_api import MAX_ENTRY_BYTES
from akto_mirror.delivery import batch
from akto_mirror.delivery.batch import Batch, Limits
from akto_mirror.outcomes import Dropped

# The memory of an entry besides its own bytes: the header of the bytes object, its arrival time, and the references to
# both in the queue.
ENTRY_OVERHEAD = 96


def cost(entries: Sequence[bytes]) -> int:
    """Return the bytes of memory that entries take."""
    return sum(map(len, entries)) + ENTRY_OVERHEAD * len(entries)


class Queue:
    """Entries that wait in memory, bounded by the memory that they take, and batches whose attempts failed.

    One thread puts entries and another takes them; both hold the lock `changed` meanwhile. The consumer waits until it
    is woken.

    Args:
        limit: bytes of memory that may be taken.
        limits: when a batch is due.

    Attributes:
        size: bytes of memory that all entries take here.
        requeued: batches whose attempts failed; they are kept even if there is no room.
    """

    def __init__(self, limit: int, limits: Limits) -> None:
        self.limit = limit
        self.limits = limits
        self.changed = threading.Condition()
        self.size = 0
        self.requeued: list[Batch] = []
        self._requeued_size = 0
        self._entries: deque[bytes] = deque()
        self._times: deque[float] = deque()
        self._flushing = 0
        self._open = True
        self._has_news = False

    def __len__(self) -> int:
        return len(self._entries)

    def refusal(self, size: int) -> Dropped | None:
        """Return why an entry of `size` bytes cannot be queued."""
        if size > MAX_ENTRY_BYTES:
            return Dropped.TOO_LARGE
        if not self._open:
            return Dropped.SHUTDOWN
        return None if self.size + size + ENTRY_OVERHEAD <= self.limit else Dropped.QUEUE_FULL

    def put(self, entry: bytes, now: float) -> None:
        """Queue an entry, and wake the consumer if it begins or fills a batch."""
        before = self.is_full(), self.is_brimming()
        self._entries.append(entry)
        self._times.append(now)
        self.size += len(entry) + ENTRY_OVERHEAD
        if len(self._entries) == 1 or before != (self.is_full(), self.is_brimming()):
            self.wake()

    def wake(self) -> None:
        """Wake the consumer, now or when it next waits."""
        with self.changed:
            self._has_news = True
            self.changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait to be woken, for at most this many seconds."""
        with self.changed:
            self.changed.wait_for(lambda: self._has_news, None if seconds == float("inf") else seconds)
            self._has_news = False

    def is_full(self) -> bool:
        """Return whether a batch is due because of its size, or because a producer is waiting for room."""
        waiting = self.size - self._requeued_size
        return waiting > self.limit // 4 or batch.is_full(len(self._entries), waiting, self.limits)

    def is_crowded(self) -> bool:
        """Return whether more than a quarter of the memory is in use."""
        return self.size > self.limit // 4

    def is_brimming(self) -> bool:
        """Return whether more than half of the memory is in use, which never happens with a producer that waits."""
        return self.size > self.limit // 2

    def due_in(self, now: float) -> float:
        """Return the seconds until a batch is due; infinity if there is none."""
        if not self._times:
            return float("inf")
        if self._flushing or self.is_full():
            return 0.0
        return max(0.0, self._times[0] + self.limits.linger_s - now)

    def since(self) -> float:
        """Return when the oldest waiting entry arrived; infinity if there is none."""
        with self.changed:
            first = self._times[0] if self._times else float("inf")
            return min([first, *(each.since for each in self.requeued)])

    def flush(self) -> None:
        """Make all entries that are waiting now due."""
        with self.changed:
            self._flushing = len(self._entries)
            self.wake()

    def take(self) -> Batch:
        """Take the next batch."""
        with self.changed:
            taken = batch.take(self._entries, self.limits)
            since = self._times[0]
            for _ in taken:
                self._times.popleft()
            self.size -= cost(taken)
            self._flushing = max(0, self._flushing - len(taken))
            return Batch(taken, since)

    def put_back(self, taken: Batch) -> None:
        """Undo a `take`, even if there is no room; all entries then count as having arrived with the first."""
        with self.changed:
            self._entries.extendleft(reversed(taken.entries))
            self._times.extendleft(taken.since for _ in taken.entries)
            self.size += cost(taken.entries)
            self._flushing += len(taken.entries)

    def requeue(self, tried: Batch) -> None:
        """Keep a batch whose attempt failed, even if there is no room."""
        with self.changed:
            self.requeued.append(tried)
            self._count_requeued(cost(tried.entries))

    def take_requeued(self, tried: Batch) -> None:
        """Take one of the batches whose attempts failed."""
        with self.changed:
            self.requeued.remove(tried)
            self._count_requeued(-cost(tried.entries))

    def shut(self) -> list[Batch]:
        """Take everything, and accept no further entries."""
        with self.changed:
            self._open = False
            rest, self.requeued = self.requeued, []
            self._count_requeued(-self._requeued_size)
            while self._entries:
                rest.append(Batch(batch.take(self._entries, self.limits), self._times[0]))
            self._times.clear()
            self.size = 0
            return rest

    def _count_requeued(self, size: int) -> None:
        self.size += size
        self._requeued_size += size
