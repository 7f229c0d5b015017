"""Remembers which entries are in which batches on disk, to report outcomes of single entries. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

# The most entries that are remembered, the newest: as many as `Marks` follows.
MOST = 50_000


class Contents:
    """Remembers the hashes of the entries of each batch."""

    def __init__(self) -> None:
        self._batches: dict[Hashable, list[int]] = {}
        self._count = 0

    def put(self, batch: Hashable, entries: Sequence[bytes]) -> None:
        """Remember a batch; if there are too many, the oldest are forgotten."""
        self.take([batch])
        self._batches[batch] = list(map(hash, entries))
        self._count += len(entries)
        while self._count > MOST:
            self.take([next(iter(self._batches))])

    def take(self, batches: Collection[Hashable]) -> list[int]:
        """Forget batches; returns the known hashes of their entries."""
        found = [key for batch in batches for key in self._batches.pop(batch, ())]
        self._count -= len(found)
        return found

    def besides(self, batches: Collection[Hashable]) -> list[Hashable]:
        """List the remembered batches, except the given ones."""
        return [batch for batch in self._batches if batch not in batches]
