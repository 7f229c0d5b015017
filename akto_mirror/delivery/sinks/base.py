"""What every destination of batches has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# How the text of an error of a file begins.
UNWRITABLE = "cannot write"


@dataclass(frozen=True, slots=True)
class SendResult:
    """How one try went.

    Attributes:
        status: the HTTP status, or 200 from a destination without one; None if there was no answer.
        detail: the fault, or the beginning of the answer, as printable text.
        retry_after: the header of this name, empty if there is none.
        healthy: whether the destination's health check passed after the try; None if it was not asked.
    """

    status: int | None
    detail: str = ""
    retry_after: str = ""
    healthy: bool | None = None

    @property
    def told(self) -> str:
        """The status, if there is one, and the detail."""
        return self.detail if self.status is None else f"{self.status} {self.detail}".rstrip()


class Sink(Protocol):
    """A destination. It never raises for what the other side does."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Deliver a batch of encoded entries within `timeout_s` seconds in all."""

    def is_healthy(self, timeout_s: float) -> bool:
        """Tell whether the destination says of itself that it works."""

    def abort(self) -> None:
        """End a `send` that runs in another thread; it then returns a fault."""

    def close(self) -> None:
        """Free what the sink holds."""
