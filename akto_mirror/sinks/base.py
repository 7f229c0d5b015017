"""What every destination of batches has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SendResult:
    """How one try went.

    Attributes:
        status: the HTTP status, or 200 from a destination without one; None if there was no answer.
        detail: the fault, or the beginning of the answer, as printable text.
    """

    status: int | None
    detail: str = ""


class Sink(Protocol):
    """A destination. It never raises for what the other side does."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Deliver a batch of encoded entries within `timeout_s` seconds in all."""

    def abort(self) -> None:
        """End a `send` that runs in another thread; it then returns a fault."""

    def close(self) -> None:
        """Free what the sink holds."""
