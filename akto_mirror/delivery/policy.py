"""The shipper's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.retry import Durability, Pace


@dataclass(frozen=True, slots=True)
class SpoolPlan:
    """Which spool to use: its folder, limit in bytes, the target of its batches, and the lease in seconds."""

    folder: Path
    limit: int
    target: str
    lease_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How to deliver entries.

    Attributes:
        limits: the limits of a batch.
        queue_bytes: bytes of memory for the queue.
        timeout_s: seconds for a request.
        shutdown_s: seconds for the flush at exit.
        durability: when batches are written to disk.
        spool: which spool to use; None keeps everything in memory.
        pace: the pace of attempts.
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
        """The spool's folder, limit and lease: if one changes, a new spool is needed; empty if nothing goes to disk."""
        if self.spool is None or self.durability is Durability.MEMORY:
            return ()
        return self.spool.folder, self.spool.limit, self.spool.lease_s
