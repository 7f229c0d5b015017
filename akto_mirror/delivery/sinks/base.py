"""What every destination of batches has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from akto_mirror.delivery.sinks import answers, symptoms
from akto_mirror.delivery.sinks.symptoms import Kind


@dataclass(frozen=True, slots=True)
class SendResult:
    """How one try went.

    Attributes:
        status: the HTTP status, or 200 from a destination without one; None if there was no answer.
        detail: the fault, or the beginning of the answer, as printable text.
        retry_after: the header of this name, empty if there is none.
        healthy: whether the destination's health check passed after the try; None if it was not asked.
        objection: what speaks against an answer of status 200 being Akto's yes; empty if nothing does.
    """

    status: int | None
    detail: str = ""
    retry_after: str = ""
    healthy: bool | None = None
    objection: str = ""

    @property
    def kind(self) -> Kind:
        """What the answer means."""
        return Kind.SETUP if self.objection else symptoms.judge(self.status)

    @property
    def told(self) -> str:
        """The status, if there is one, what speaks against it, and the detail."""
        objection = f"({self.objection}) " if self.objection else ""
        return self.detail if self.status is None else f"{self.status} {objection}{self.detail}".rstrip()

    @property
    def hint(self) -> str:
        """The likely mistake behind a failure; empty if there is none to name."""
        if self.objection:
            return answers.cause(self.objection)
        return symptoms.network_hint(self.detail) if self.status is None else symptoms.hint(self.status)


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
