"""How to deliver: what the shipper is configured by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.retry import Durability, Pace


@dataclass(frozen=True, slots=True)
class SpoolPlan:
    """Which spool to use: its folder, bound in bytes, the target of its batches, and the seconds of a lease."""

    folder: Path
    limit: int
    target: str
    lease_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How to send.

    Attributes:
        limits: of a batch.
        queue_bytes: of memory.
        timeout_s: of a request.
        shutdown_s: of the flush at the end.
        durability: when batches are written to disk.
        spool: where; None only in memory.
        pace: of attempts.
    """

    limits: Limits
    queue_bytes: int
    timeout_s: float
    shutdown_s: float
    durability: Durability = Durability.MEMORY
    spool: SpoolPlan | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def place(self) -> tuple[object, ...]:
        """What makes another spool of a spool; empty if nothing goes to disk."""
        if self.spool is None or self.durability is Durability.MEMORY:
            return ()
        return self.spool.folder, self.spool.limit, self.spool.lease_s
