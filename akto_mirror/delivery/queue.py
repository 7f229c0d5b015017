"""The bounded queue between the proxy's event loop and the shipper."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from akto_mirror.akto_api import MAX_ENTRY_BYTES
from akto_mirror.delivery import batch
from akto_mirror.delivery.batch import Limits
from akto_mirror.outcomes import Dropped

# What an entry holds in memory beside its own bytes: the bytes object's head, the time when it came, and the places of
# both in the queue.
ENTRY_OVERHEAD = 96


def cost(entries: Sequence[bytes]) -> int:
    """Return the bytes that entries hold in memory."""
    return sum(map(len, entries)) + ENTRY_OVERHEAD * len(entries)


class Taken(NamedTuple):
    """Entries that were taken together, and when the first of them came."""

    entries: list[bytes]
    since: float


class Queue:
    """Entries that wait in memory, bounded by what they hold there.

    One thread puts and another takes; `changed` is the lock that both hold while they do, and what the taker waits for.

    Args:
        limit: bytes that may be held.
        limits: when a batch is due.
    """

    def __init__(self, limit: int, limits: Limits) -> None:
        self.limit = limit
        self.limits = limits
        self.changed = threading.Condition()
        self.size = 0
        self.held = 0
        self._entries: deque[bytes] = deque()
        self._times: deque[float] = deque()
        self._flushing = 0
        self._open = True

    def __len__(self) -> int:
        return len(self._entries)

    def refusal(self, size: int) -> Dropped | None:
        """Tell why an entry of `size` bytes cannot be queued."""
        if size > MAX_ENTRY_BYTES:
            return Dropped.TOO_LARGE
        if not self._open:
            return Dropped.SHUTDOWN
        return None if self.size + size + ENTRY_OVERHEAD <= self.limit else Dropped.QUEUE_FULL

    def put(self, entry: bytes, now: float) -> bool:
        """Queue an entry; tells whether the taker should look: a batch has begun or is full."""
        before = self.is_full(), self.is_brimming()
        self._entries.append(entry)
        self._times.append(now)
        self.size += len(entry) + ENTRY_OVERHEAD
        return len(self._entries) == 1 or before != (self.is_full(), self.is_brimming())

    def is_full(self) -> bool:
        """Tell whether a batch is due by its size, or because whoever can wait does."""
        waiting = self.size - self.held
        return waiting > self.limit // 4 or batch.is_full(len(self._entries), waiting, self.limits)

    def is_crowded(self) -> bool:
        """Tell whether a quarter of the memory is in use."""
        return self.size > self.limit // 4

    def is_brimming(self) -> bool:
        """Tell whether half of the memory is in use: more than whoever can wait ever fills."""
        return self.size > self.limit // 2

    def due_in(self, now: float) -> float:
        """Return the seconds until a batch is due; infinity if there is none."""
        if not self._times:
            return float("inf")
        if self._flushing or self.is_full():
            return 0.0
        return max(0.0, self._times[0] + self.limits.linger_s - now)

    def since(self) -> float:
        """Return when the oldest entry came that waits here; infinity if there is none."""
        with self.changed:
            return self._times[0] if self._times else float("inf")

    def flush(self) -> None:
        """Let everything that waits now be due."""
        with self.changed:
            self._flushing = len(self._entries)
            self.changed.notify_all()

    def take(self) -> Taken:
        """Take the next batch."""
        with self.changed:
            taken = batch.take(self._entries, self.limits)
            since = self._times[0]
            for _ in taken:
                self._times.popleft()
            self.size -= cost(taken)
            self._flushing = max(0, self._flushing - len(taken))
            return Taken(taken, since)

    def put_back(self, taken: Taken) -> None:
        """Undo a `take`, whether there is room or not; all of it has then come when its first entry came."""
        with self.changed:
            self._entries.extendleft(reversed(taken.entries))
            self._times.extendleft(taken.since for _ in taken.entries)
            self.size += cost(taken.entries)
            self._flushing += len(taken.entries)

    def hold(self, size: int) -> None:
        """Count `size` bytes more, or less if negative, that wait in memory elsewhere."""
        with self.changed:
            self.size += size
            self.held += size

    def shut(self) -> list[bytes]:
        """Take everything, and let nothing in any more."""
        with self.changed:
            self._open = False
            rest = list(self._entries)
            self._entries.clear()
            self._times.clear()
            self.size = self.held
            return rest
