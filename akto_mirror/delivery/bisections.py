"""Batches that are being split: their parts, and which of them is tried next. No clock and no I/O."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from akto_mirror.delivery.poison import Refusals
from akto_mirror.delivery.spool.spool import Dead
from akto_mirror.delivery.spool.store import Row

# In an outage that looks like poison one batch is split and not all; where poison is proven, as many as this at a time,
# and of no more bytes. Some more may be where no part is left that could prove that the other side works.
MOST = 64
MOST_BYTES = 8 * 1024 * 1024
MORE = 8
MORE_BYTES = 8 * 1024 * 1024

# Refusals in a row after which a part is tried that is not the last one's neighbour.
NEIGHBOURS = 4

NEVER = float("inf")
NEVER_REFUSED = Refusals()


@dataclass(eq=False, slots=True)
class Parcel:
    """Entries that are sent together, and when the first of them came to where it was taken from."""

    entries: Sequence[bytes]
    since: float
    row: Row | None = None
    part_of: Bisection | None = None
    refusals: Refusals = NEVER_REFUSED


@dataclass(eq=False, slots=True)
class Bisection:
    """A batch that is being split: its place on disk, its age and bytes, its parts that wait, and what was rejected."""

    row: Row | None
    since: float
    size: int
    parts: dict[Parcel, None] = field(default_factory=dict)
    open: int = 0
    dead: list[Dead] = field(default_factory=list)


class Bisections:
    """All that are open."""

    def __init__(self) -> None:
        self.open: list[Bisection] = []
        self._fresh: list[Parcel] = []
        self._later: list[tuple[float, int, Parcel]] = []
        self._numbers = itertools.count()

    def begin(self, parcel: Parcel, *, several: bool) -> Bisection | None:
        """Open one for a batch; None if that has to wait for those that are open.

        Args:
            parcel: the batch.
            several: whether there may be more than one with parts that have not been tried.
        """
        self._forget_closed()
        if self.open and not self._may_begin(sum(map(len, parcel.entries)), several=several):
            return None
        return self.open_for(parcel)

    def open_for(self, parcel: Parcel) -> Bisection:
        """Open one for a batch however many there are."""
        begun = Bisection(parcel.row, parcel.since, sum(map(len, parcel.entries)))
        self.open.append(begun)
        return begun

    def _may_begin(self, size: int, *, several: bool) -> bool:
        if self._fresh:
            return several and self._has_room(size)
        return self._has_more(size)

    def _has_room(self, size: int) -> bool:
        return len(self.open) < MOST and self._size() + size <= MOST_BYTES

    def _has_more(self, size: int) -> bool:
        return len(self.open) < MOST + MORE and self._size() + size <= MOST_BYTES + MORE_BYTES

    def _size(self) -> int:
        return sum(each.size for each in self.open)

    def is_crowded(self) -> bool:
        """Tell whether no more would be opened."""
        return not self._has_room(0)

    def add(self, part: Parcel) -> None:
        """Let a part wait for its turn."""
        assert part.part_of is not None  # noqa: S101 - for the type checker
        part.part_of.parts[part] = None
        if part.refusals.count:
            heapq.heappush(self._later, (part.refusals.not_before, next(self._numbers), part))
        else:
            self._fresh.append(part)

    def take_fresh(self, row: int) -> Parcel | None:
        """Take a part that has not been tried: the one that was split last, the smallest and so the likeliest to pass.

        Args:
            row: refusals without a pass; after some the next part comes from elsewhere, for bad entries may be
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

    def take_refused(self, now: float) -> Parcel | None:
        """Take a part that was refused and is due again."""
        self._forget_closed()
        if not self._later or self._later[0][0] > now:
            return None
        return self._taken(heapq.heappop(self._later)[2])

    def take_settling(self, now: float, passes: int) -> Parcel | None:
        """Take a part that was refused and is due again if something has passed since, for then it can be settled."""
        self._forget_closed()
        if self._later and passes > self._later[0][2].refusals.last:
            return self.take_refused(now)
        return None

    def _taken(self, part: Parcel) -> Parcel:
        assert part.part_of is not None  # noqa: S101 - for the type checker
        del part.part_of.parts[part]
        return part

    def due_in(self, now: float) -> float:
        """Return the seconds until a part is due; infinity if there is none."""
        self._forget_closed()
        if self._fresh:
            return 0.0
        return max(0.0, self._later[0][0] - now) if self._later else NEVER

    def close(self, each: Bisection) -> list[bytes]:
        """End one; returns the entries of its parts that wait."""
        self.open.remove(each)
        rest = [entry for part in each.parts for entry in part.entries]
        each.parts.clear()
        return rest

    def _forget_closed(self) -> None:
        """Drop parts at the heads whose bisection was closed while they waited."""
        while self._fresh and self._is_gone(self._fresh[-1]):
            self._fresh.pop()
        while self._later and self._is_gone(self._later[0][2]):
            heapq.heappop(self._later)

    @staticmethod
    def _is_gone(part: Parcel) -> bool:
        return part.part_of is None or part not in part.part_of.parts
