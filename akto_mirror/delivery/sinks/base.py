"""What every destination of batches has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from akto_mirror.delivery.sinks import symptoms
from akto_mirror.delivery.sinks.symptoms import Cause, Kind


class EntryVerdict(Enum):
    """What an attempt says of one entry.

    Members:
        DELIVERED: it has arrived.
        REFUSED: the destination refused it, for what it holds perhaps.
        TOO_LARGE: it is refused for its size alone: it will never be taken.
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
        detail: the error, or the beginning of the answer, as printable text.
        retry_after: the header of this name, empty if there is none.
        healthy: whether the destination's health check passed after the attempt; None if it was not asked.
        verdicts: one for each entry, in order, from a destination that judges them one by one; without them all entries
            share what the answer says.
        cause: what the outcome comes from; None where the status says all.
        shortened: how many of the delivered entries have arrived without their long payloads.
        doubtful: how many of the others may have arrived: they were sent, and no answer came.
    """

    status: int | None
    detail: str = ""
    retry_after: str = ""
    healthy: bool | None = None
    verdicts: Sequence[EntryVerdict] = ()
    cause: Cause | None = None
    shortened: int = 0
    doubtful: int = 0

    def verdicts_of(self, count: int) -> Sequence[EntryVerdict]:
        """Return the verdict on each entry of a batch of `count` entries."""
        return self.verdicts or (self._shared_verdict,) * count

    @property
    def _shared_verdict(self) -> EntryVerdict:
        if self.kind is Kind.SHIPPED:
            return EntryVerdict.DELIVERED
        if self.why is Cause.TOO_LARGE:
            return EntryVerdict.TOO_LARGE
        return EntryVerdict.REFUSED if self.blames_entries else EntryVerdict.UNKNOWN

    @property
    def blames_entries(self) -> bool:
        """Whether the failure can be due to what the entries hold."""
        blaming = {EntryVerdict.REFUSED, EntryVerdict.TOO_LARGE}
        return bool(blaming.intersection(self.verdicts)) or symptoms.blames_entries(self.status)

    @property
    def why(self) -> Cause:
        """What the outcome comes from."""
        return self.cause or symptoms.of_status(self.status)

    @property
    def kind(self) -> Kind:
        """What the answer means."""
        return self.why.kind

    @property
    def answer(self) -> str:
        """The status, if there is one, what is wrong with an answer of 200, and the detail."""
        if self.status is None:
            return self.detail
        wrong = f"({self.why.sentence}) " if self.status == 200 and self.why.remedy else ""
        return f"{self.status} {wrong}{self.detail}".rstrip()

    @property
    def reason(self) -> str:
        """The answer with what it means, for a dead letter."""
        if self.status in (200, None):
            return self.answer
        return f"{self.answer} ({self.why.sentence})"

    @property
    def explained(self) -> str:
        """The answer, what it means and what to do, for the log."""
        what = f"answer {self.answer}" if self.status else self.answer
        meaning = "" if self.status == 200 else f"{self.why.sentence}: "
        return f"{what}; {meaning}{self.why.remedy}"


class Sink(Protocol):
    """A destination. It never raises for what Akto does."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Deliver a batch of encoded entries within `timeout_s` seconds in all."""

    def is_healthy(self, timeout_s: float) -> bool:
        """Return whether the destination says of itself that it works."""

    def abort(self) -> None:
        """End a `send` that runs in another thread; it then returns a failure."""

    def close(self) -> None:
        """Free what the sink holds."""
