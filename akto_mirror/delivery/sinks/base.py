"""The interface of all sinks, and the result of an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from akto_mirror.delivery.sinks import symptoms
from akto_mirror.delivery.sinks.symptoms import Cause, Kind


class EntryResult(Enum):
    """The result of an attempt for one entry.

    Members:
        DELIVERED: it has arrived.
        REFUSED: the destination refused it, perhaps because of its content.
        TOO_LARGE: it was refused only because of its size, so it will never be accepted.
        UNKNOWN: it is not known to have arrived, and it may be valid: it is sent again.
    """

    DELIVERED = "delivered"
    REFUSED = "refused"
    TOO_LARGE = "too large"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one attempt.

    Attributes:
        status: the HTTP status, or 200 from a destination without statuses; None if there was no response.
        detail: the error, or the beginning of the response, as printable text.
        retry_after: the header of this name, empty if there is none.
        healthy: whether the destination's health check passed after the attempt; None without one.
        entry_results: one for each entry, in order, from a destination that reports on each entry; if empty, the status
            applies to all entries.
        cause: the cause of a failure; None if the status determines it.
        shortened: how many of the delivered entries have arrived without their long payloads.
        doubtful: how many of the other entries may have arrived: they were sent, and no response came.
    """

    status: int | None
    detail: str = ""
    retry_after: str = ""
    healthy: bool | None = None
    entry_results: Sequence[EntryResult] = ()
    cause: Cause | None = None
    shortened: int = 0
    doubtful: int = 0

    def results_of(self, count: int) -> Sequence[EntryResult]:
        """Return the result of each entry of a batch of `count` entries."""
        return self.entry_results or (self._shared_result,) * count

    @property
    def _shared_result(self) -> EntryResult:
        if self.kind is Kind.SHIPPED:
            return EntryResult.DELIVERED
        if self.why is Cause.TOO_LARGE:
            return EntryResult.TOO_LARGE
        return EntryResult.REFUSED if self.blames_entries else EntryResult.UNKNOWN

    @property
    def blames_entries(self) -> bool:
        """Whether the failure can be caused by the content of the entries."""
        blaming = {EntryResult.REFUSED, EntryResult.TOO_LARGE}
        return bool(blaming.intersection(self.entry_results)) or symptoms.blames_entries(self.status)

    @property
    def why(self) -> Cause:
        """The cause of the result."""
        return self.cause or symptoms.of_status(self.status)

    @property
    def kind(self) -> Kind:
        """The meaning of the response."""
        return self.why.kind

    @property
    def answer(self) -> str:
        """The status, if there is one, what is wrong with a 200, and the detail."""
        if self.status is None:
            return self.detail
        wrong = f"({self.why.sentence}) " if self.status == 200 and self.why.remedy else ""
        return f"{self.status} {wrong}{self.detail}".rstrip()

    @property
    def reason(self) -> str:
        """The response and its meaning, for a dead letter."""
        if self.status in (200, None):
            return self.answer
        return f"{self.answer} ({self.why.sentence})"

    @property
    def explained(self) -> str:
        """The response, its meaning and the remedy, for the log."""
        what = f"answer {self.answer}" if self.status else self.answer
        meaning = "" if self.status == 200 else f"{self.why.sentence}: "
        return f"{what}; {meaning}{self.why.remedy}"


class Sink(Protocol):
    """A destination. It does not raise for anything that the destination does."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Deliver a batch of encoded entries within `timeout_s` seconds in total."""

    def is_healthy(self, timeout_s: float) -> bool:
        """Return whether the destination's health check passes."""

    def abort(self) -> None:
        """End a `send` that runs in another thread; it then returns a failure."""

    def close(self) -> None:
        """Release the sink's resources."""
