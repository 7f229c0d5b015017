"""What became of a flow or of its entry, in words: the vocabulary of verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from akto_mirror.escaping import printable


class Reason(StrEnum):
    """Why an exchange was skipped: the closed vocabulary of promise "nothing is lost silently"."""

    OWN_CALL = "own call to Akto"
    ROUTE = "no route matches"
    FILTER = "filtered out"
    STATUS = "status"
    NO_CONTENT_TYPE = "no content type"
    CONTENT_TYPE = "content type"
    CUT_SHORT = "cut short by the client"
    NO_RESPONSE = "no response"
    UPSTREAM_BROKE_OFF = "upstream broke off"
    IGNORED = "x-akto-ignore"
    NOISE = "noise"
    PAUSED = "paused"
    SAMPLED = "sampled"
    CAPPED = "over the cap"


@dataclass(frozen=True, slots=True)
class Skip:
    """The decision not to mirror, with what in the exchange led to it."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} {self.detail}".rstrip()


class Outcome(StrEnum):
    """Where a flow or its entry is on its way to Akto, or how that way ended: a closed vocabulary."""

    SKIPPED = "skipped"
    DRY_RUN = "captured (dry run)"
    CAPTURED = "captured"
    QUEUED = "queued"
    IN_FLIGHT = "in flight"
    SPOOLED = "spooled"
    SHIPPED = "shipped"
    REJECTED = "rejected"
    DROPPED = "dropped"
    HANDED_OVER = "handed over"


class Dropped(StrEnum):
    """Why a captured entry was lost: a closed vocabulary."""

    QUEUE_FULL = "queue full"
    TOO_LARGE = "larger than 4 MiB"
    FAULT = "fault of the addon"
    SHUTDOWN = "not sent before the exit"
    DEAD_FULL = "refused, and no room among the dead letters"
    DAMAGED = "damaged in the spool"
    KILLED = "in the memory of a worker that was killed"


# Where a captured entry is unless it was dropped, in the order of the summary line.
PLACES = (
    Outcome.SHIPPED,
    Outcome.QUEUED,
    Outcome.IN_FLIGHT,
    Outcome.SPOOLED,
    Outcome.REJECTED,
    Outcome.HANDED_OVER,
)

# Where entries are that may still be shipped by this process.
PENDING = (Outcome.QUEUED, Outcome.IN_FLIGHT, Outcome.SPOOLED)

# An entry of such an outcome may still have another one.
UNDER_WAY = frozenset({Outcome.CAPTURED, *PENDING})

ALWAYS_SHOWN = (Outcome.SHIPPED, Outcome.SPOOLED, Outcome.REJECTED)


def verdict(outcome: Outcome, reason: str = "") -> str:
    """Return an outcome with its reason, as one short line that nothing in the reason can break."""
    return f"{outcome} ({printable(reason, 100)})" if reason else str(outcome)


def foreseen(decision: object) -> str:
    """Return what a decision of the rules makes of a flow, before anything is sent: a `Skip`, or else a capture."""
    return verdict(Outcome.SKIPPED, str(decision)) if isinstance(decision, Skip) else str(Outcome.CAPTURED)
