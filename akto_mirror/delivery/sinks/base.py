"""What every destination of batches has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from akto_mirror.delivery.sinks import answers, symptoms
from akto_mirror.delivery.sinks.symptoms import Kind


class EntryVerdict(Enum):
    """What an attempt says of one entry.

    Members:
        DELIVERED: it has arrived.
        REFUSED: the destination refused it, for what it holds perhaps.
        TOO_LARGE: its size alone is to blame: it will never be taken.
        UNKNOWN: it has not arrived as far as is known, and nothing speaks against it: it is sent again.
    """

    DELIVERED = "delivered"
    REFUSED = "refused"
    TOO_LARGE = "too large"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SendResult:
    """How one attempt went.

    Attributes:
        status: the HTTP status, or 200 from a destination without one; None if there was no answer.
        detail: the fault, or the beginning of the answer, as printable text.
        retry_after: the header of this name, empty if there is none.
        healthy: whether the destination's health check passed after the try; None if it was not asked.
        objection: what speaks against an answer of status 200 being Akto's yes; empty if nothing does.
        verdicts: one for each entry, in order, from a destination that tells them apart; without them all entries
            share what the answer says.
        cause: what the failure is by the destination's own errors; None where the status says it.
        advice: the likely mistake behind such a failure.
        shortened: how many of the delivered entries have arrived without their long payloads.
    """

    status: int | None
    detail: str = ""
    retry_after: str = ""
    healthy: bool | None = None
    objection: str = ""
    verdicts: Sequence[EntryVerdict] = ()
    cause: Kind | None = None
    advice: str = ""
    shortened: int = 0

    def verdicts_of(self, count: int) -> Sequence[EntryVerdict]:
        """Return the verdict on each entry of a batch of `count` entries."""
        return self.verdicts or (self._shared_verdict,) * count

    @property
    def _shared_verdict(self) -> EntryVerdict:
        if self.kind is Kind.SHIPPED:
            return EntryVerdict.DELIVERED
        if self.status == symptoms.TOO_LARGE:
            return EntryVerdict.TOO_LARGE
        return EntryVerdict.REFUSED if self.blames_entries else EntryVerdict.UNKNOWN

    @property
    def blames_entries(self) -> bool:
        """Whether the failure can be due to what the entries hold."""
        blaming = {EntryVerdict.REFUSED, EntryVerdict.TOO_LARGE}
        return bool(blaming.intersection(self.verdicts)) or symptoms.blames_entries(self.status)

    @property
    def kind(self) -> Kind:
        """What the answer means."""
        if self.cause is not None:
            return self.cause
        return Kind.SETUP if self.objection else symptoms.judge(self.status)

    @property
    def told(self) -> str:
        """The status, if there is one, what speaks against it, and the detail."""
        objection = f"({self.objection}) " if self.objection else ""
        return self.detail if self.status is None else f"{self.status} {objection}{self.detail}".rstrip()

    @property
    def hint(self) -> str:
        """The likely mistake behind a failure; empty if there is none to name."""
        if self.advice:
            return self.advice
        if self.objection:
            return answers.cause(self.objection)
        return symptoms.network_hint(self.detail) if self.status is None else symptoms.hint(self.status)


class Sink(Protocol):
    """A destination. It never raises for what Akto does."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Deliver a batch of encoded entries within `timeout_s` seconds in all."""

    def is_healthy(self, timeout_s: float) -> bool:
        """Return whether the destination says of itself that it works."""

    def abort(self) -> None:
        """End a `send` that runs in another thread; it then returns a fault."""

    def close(self) -> None:
        """Free what the sink holds."""
