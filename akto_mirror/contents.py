"""Which entries are in which batches on disk, for whoever follows single entries. No clock and no I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence

from akto_mirror.outcomes import Outcome

# Entries that are remembered at most, the newest: as many as are followed.
MOST = 50_000

# Is told entries, or their hashes where the entries are not at hand, what became of them, and why.
Observer = Callable[[Sequence[bytes | int], Outcome, str], None]


class Contents:
    """Remembers the hashes of the entries of each batch, in place of the entries.

    Attributes:
        observe: is told what became of them; while it is None nothing is remembered.
    """

    def __init__(self) -> None:
        self.observe: Observer | None = None
        self._batches: dict[Hashable, list[int]] = {}
        self._count = 0

    def put(self, batch: Hashable, entries: Sequence[bytes]) -> None:
        """Remember a batch; the oldest is forgotten for it if there are too many."""
        if self.observe is None:
            return
        self.forget(batch)
        self._batches[batch] = list(map(hash, entries))
        self._count += len(entries)
        while self._count > MOST:
            self.forget(next(iter(self._batches)))

    def forget(self, batch: Hashable) -> None:
        """Forget a batch whose end is told otherwise."""
        self._count -= len(self._batches.pop(batch, ()))

    def lose(self, batches: Collection[Hashable], outcome: Outcome, reason: str = "") -> None:
        """Tell what became of batches that are not this process's any more, and forget them."""
        for batch in batches:
            keys = self._batches.get(batch)
            self.forget(batch)
            if keys and self.observe is not None:
                self.observe(keys, outcome, reason)

    def besides(self, batches: Collection[Hashable]) -> list[Hashable]:
        """List the batches that are remembered but for some."""
        return [batch for batch in self._batches if batch not in batches]
