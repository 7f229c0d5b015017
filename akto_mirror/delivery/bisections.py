"""Batches that are being bisected: their parts, and which part is tried next. No clock and no I/O."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from akto_mirror.delivery.batch import Batch
from akto_mirror.delivery.poison import Refusals
from akto_mirror.outcomes import Rejected

# Until poison is proven, only one batch at a time may have untried parts; after that, up to this many batches and this
# many bytes. If no part is untried, a few more may be split, to find one that proves that the destination works.
MOST = 64
MOST_BYTES = 8 * 1024 * 1024
MORE = 8
MORE_BYTES = 8 * 1024 * 1024

# After this many refusals in a row, the next part is taken from elsewhere in the batches.
NEIGHBOURS = 4

NEVER = float("inf")
NEVER_REFUSED = Refusals()


@dataclass(eq=False, slots=True)
class Bisection:
    """A batch that is being bisected.

    Attributes:
        batch: the original batch.
        size: its bytes.
        waiting: the parts that wait to be tried.
        open: how many parts are unresolved.
        dead: the entries that were rejected.
    """

    batch: Batch
    size: int
    waiting: dict[Batch, None] = field(default_factory=dict)
    open: int = 0
    dead: list[Rejected] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Part:
    """A part of a batch, or the whole batch until it is split, and how often it was refused."""

    whole: Bisection
    refusals: Refusals


class Bisections:
    """All open bisections."""

    def __init__(self) -> None:
        self.open: list[Bisection] = []
        self._parts: dict[Batch, Part] = {}
        self._fresh: list[Batch] = []
        self._later: list[tuple[float, int, Batch]] = []
        self._numbers = itertools.count()

    def part(self, batch: Batch) -> Part | None:
        """Return the part that a batch is; None if it is not one."""
        return self._parts.get(batch)

    def may_begin(self, batch: Batch, *, several: bool) -> bool:
        """Return whether a batch may be split now, or has to wait for the open bisections.

        Args:
            batch: the batch to split.
            several: whether more than one bisection may have untried parts.
        """
        self._forget_closed()
        size = sum(map(len, batch.entries))
        if not self.open:
            return True
        if self._fresh:
            return several and self._has_room(size)
        return len(self.open) < MOST + MORE and self._size() + size <= MOST_BYTES + MORE_BYTES

    def begin(self, batch: Batch, refusals: Refusals) -> Bisection:
        """Open a bisection, whose first part is the whole batch."""
        begun = Bisection(batch, sum(map(len, batch.entries)), open=1)
        self.open.append(begun)
        self._parts[batch] = Part(begun, refusals)
        return begun

    def _has_room(self, size: int) -> bool:
        return len(self.open) < MOST and self._size() + size <= MOST_BYTES

    def _size(self) -> int:
        return sum(each.size for each in self.open)

    def is_crowded(self) -> bool:
        """Return whether no further bisection may be opened."""
        return not self._has_room(0)

    def add(self, whole: Bisection, entries: Sequence[bytes], refusals: Refusals) -> Batch:
        """Add a part, which does not wait to be tried yet."""
        part = Batch(entries, whole.batch.since)
        self._parts[part] = Part(whole, refusals)
        whole.open += 1
        return part

    def wait(self, batch: Batch) -> None:
        """Let a part wait to be tried."""
        part = self._parts[batch]
        part.whole.waiting[batch] = None
        if part.refusals.count:
            heapq.heappush(self._later, (part.refusals.not_before, next(self._numbers), batch))
        else:
            self._fresh.append(batch)

    def take_fresh(self, row: int) -> Batch | None:
        """Take an untried part, one of those split last: they are the smallest, and the most likely to pass.

        Args:
            row: refusals in a row; after some the next part comes from elsewhere, because bad entries may be
                neighbours.
        """
        self._forget_closed()
        if not self._fresh:
            return None
        if row >= NEIGHBOURS:
            other = row * 7919 % len(self._fresh)
            self._fresh[other], self._fresh[-1] = self._fresh[-1], self._fresh[other]
            self._forget_closed()
        return self._taken(self._fresh.pop()) if self._fresh else None

    def take_refused(self, now: float) -> Batch | None:
        """Take a part that was refused and is due again."""
        self._forget_closed()
        if not self._later or self._later[0][0] > now:
            return None
        return self._taken(heapq.heappop(self._later)[2])

    def take_settling(self, now: float, passes: int) -> Batch | None:
        """Take a part that was refused and is due again, if something has passed since: it can be resolved now."""
        self._forget_closed()
        if self._later and passes > self._parts[self._later[0][2]].refusals.last:
            return self.take_refused(now)
        return None

    def _taken(self, batch: Batch) -> Batch:
        del self._parts[batch].whole.waiting[batch]
        return batch

    def due_in(self, now: float) -> float:
        """Return the seconds until a part is due; infinity if there is none."""
        self._forget_closed()
        if self._fresh:
            return 0.0
        return max(0.0, self._later[0][0] - now) if self._later else NEVER

    def end(self, batch: Batch) -> Bisection | None:
        """Remove a resolved part; returns its bisection if that was the last part."""
        whole = self._parts.pop(batch).whole
        whole.open -= 1
        return None if whole.open else whole

    def close(self, whole: Bisection) -> list[bytes]:
        """Close a bisection; returns the entries of its waiting parts."""
        self.open.remove(whole)
        rest = [entry for part in whole.waiting for entry in part.entries]
        whole.waiting.clear()
        if whole.open:
            self._parts = {batch: part for batch, part in self._parts.items() if part.whole is not whole}
        return rest

    def _forget_closed(self) -> None:
        """Remove parts at the heads of the queues whose bisection was closed while they waited."""
        while self._fresh and self._is_gone(self._fresh[-1]):
            self._fresh.pop()
        while self._later and self._is_gone(self._later[0][2]):
            heapq.heappop(self._later)

    def _is_gone(self, batch: Batch) -> bool:
        part = self._parts.get(batch)
        return part is None or batch not in part.whole.waiting
