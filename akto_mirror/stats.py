"""What became of every flow, counted in one place."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from akto_mirror.rules import Reason


class Dropped(StrEnum):
    """Why a captured entry was lost: a closed vocabulary."""

    QUEUE_FULL = "queue full"
    TOO_LARGE = "larger than 4 MiB"
    FAULT = "fault of the addon"
    UNDELIVERABLE = "undeliverable"
    SHUTDOWN = "not sent before the exit"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counts at one moment; `captured` is the sum of what follows it, `skipped` stands beside."""

    captured: int
    shipped: int
    rejected: int
    pending: int
    dropped: dict[Dropped, int]
    skipped: dict[Reason, int]
    batches: int
    failures: int

    def __str__(self) -> str:
        return (
            f"captured {self.captured} = shipped {self.shipped} + pending {self.pending} + rejected {self.rejected}"
            f" + dropped {_sum(self.dropped)}; skipped {_sum(self.skipped)}"
        )


def _sum(counts: dict[Dropped, int] | dict[Reason, int]) -> str:
    """Write a total and, where there is one, what it consists of."""
    parts = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"{sum(counts.values())}" + (f" ({parts})" if parts else "")


@dataclass
class Stats:
    """Counters that the proxy's event loop and the sender thread share."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _captured: int = 0
    _shipped: int = 0
    _rejected: int = 0
    _batches: int = 0
    _failures: int = 0
    _dropped: Counter[Dropped] = field(default_factory=Counter)
    _skipped: Counter[Reason] = field(default_factory=Counter)

    def capture(self) -> None:
        """Count an entry that was made."""
        with self._lock:
            self._captured += 1

    def skip(self, reason: Reason) -> None:
        """Count a flow that a rule left out."""
        with self._lock:
            self._skipped[reason] += 1

    def drop(self, reason: Dropped, count: int = 1) -> None:
        """Count captured entries that are lost."""
        if count:
            with self._lock:
                self._dropped[reason] += count

    def ship(self, count: int) -> None:
        """Count the entries of a batch that Akto took."""
        with self._lock:
            self._shipped += count
            self._batches += 1

    def reject(self, count: int) -> None:
        """Count the entries of a batch that Akto refused for good."""
        with self._lock:
            self._rejected += count

    def fail(self) -> None:
        """Count one failed try to send a batch."""
        with self._lock:
            self._failures += 1

    def snapshot(self) -> Snapshot:
        """Return all counts as of now."""
        with self._lock:
            ended = self._shipped + self._rejected + self._dropped.total()
            return Snapshot(
                captured=self._captured,
                shipped=self._shipped,
                rejected=self._rejected,
                pending=self._captured - ended,
                dropped=dict(self._dropped),
                skipped=dict(self._skipped),
                batches=self._batches,
                failures=self._failures,
            )
