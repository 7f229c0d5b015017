"""Which entries are in which batches on disk, for observers of single entries. No clock and no I/O."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

# Entries that are remembered at most, the newest: as many as are followed.
MOST = 50_000


class Contents:
    """Remembers the hashes of the entries of each batch, in place of the entries."""

    def __init__(self) -> None:
        self._batches: dict[Hashable, list[int]] = {}
        self._count = 0

    def put(self, batch: Hashable, entries: Sequence[bytes]) -> None:
        """Remember a batch; the oldest is forgotten for it if there are too many."""
        self.take([batch])
        self._batches[batch] = list(map(hash, entries))
        self._count += len(entries)
        while self._count > MOST:
            self.take([next(iter(self._batches))])

    def take(self, batches: Collection[Hashable]) -> list[int]:
        """Forget batches; returns the hashes of the entries that are known to be in them."""
        found = [key for batch in batches for key in self._batches.pop(batch, ())]
        self._count -= len(found)
        return found

    def besides(self, batches: Collection[Hashable]) -> list[Hashable]:
        """List the batches that are remembered but for some."""
        return [batch for batch in self._batches if batch not in batches]
