"""The outcomes of flows and entries, with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from akto_mirror.escaping import printable


class Mark(StrEnum):
    """What is set on flows: a mark and a comment, only the comment, or neither."""

    AUTO = "auto"
    COMMENT = "comment"
    NEVER = "never"


class Reason(StrEnum):
    """Why an exchange was skipped; a closed vocabulary, so that nothing is lost silently."""

    OWN_CALL = "own call to Akto"
    ROUTE = "no route matches"
    FILTER = "filtered out"
    STATUS = "status"
    NO_CONTENT_TYPE = "no content type"
    CONTENT_TYPE = "content type"
    CUT_SHORT = "cut short"
    NO_RESPONSE = "no response"
    UPSTREAM_BROKE_OFF = "upstream broke off"
    IGNORED = "x-akto-ignore"
    NOISE = "noise"
    PAUSED = "paused"
    SAMPLED = "sampled"
    CAPPED = "over the cap"


@dataclass(frozen=True, slots=True)
class Skip:
    """The decision not to mirror an exchange, with the detail that led to it."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} {self.detail}".rstrip()


class Format(StrEnum):
    """The formats of payloads, by which repairs are counted; a closed vocabulary."""

    JSON = "json"
    XML = "xml"
    FORM = "form"
    MULTIPART = "multipart"
    GRPC = "grpc"
    EVENTS = "events"
    TEXT = "text"


class Repair(NamedTuple):
    """A payload that was changed so that Akto can read it: closed, or converted.

    Attributes:
        side: `request` or `response`.
        format: the format of the payload; `text` if its charset was changed.
    """

    side: str
    format: Format

    def __str__(self) -> str:
        return f"{self.side} {self.format}"


class Outcome(StrEnum):
    """Where a flow or its entry is on its way to Akto, or what became of it; a closed vocabulary."""

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
    """Why a captured entry was lost; a closed vocabulary."""

    QUEUE_FULL = "queue full"
    TOO_LARGE = "larger than 4 MiB"
    FAULT = "fault of the addon"
    SHUTDOWN = "not sent before the exit"
    DEAD_FULL = "refused, and no room among the dead letters"
    DAMAGED = "damaged in the spool"
    KILLED = "in the memory of a process that was killed"


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that was refused for good, and the response to it."""

    entry: bytes
    reason: str


# The places of captured entries that were not dropped, in the order of the summary line.
PLACES = (
    Outcome.SHIPPED,
    Outcome.QUEUED,
    Outcome.IN_FLIGHT,
    Outcome.SPOOLED,
    Outcome.REJECTED,
    Outcome.HANDED_OVER,
)

# The places of entries that may still be shipped by this process.
PENDING = (Outcome.QUEUED, Outcome.IN_FLIGHT, Outcome.SPOOLED)

# Outcomes that are not final.
UNDER_WAY = frozenset({Outcome.CAPTURED, *PENDING})

ALWAYS_SHOWN = (Outcome.SHIPPED, Outcome.SPOOLED, Outcome.REJECTED)


def verdict(outcome: Outcome, reason: str = "") -> str:
    """Return an outcome with its reason, as one short line that nothing in the reason can break."""
    return f"{outcome} ({printable(reason, 100)})" if reason else str(outcome)


def repaired(repairs: Sequence[Repair]) -> str:
    """Return the repairs of an entry's payloads as text to append to the outcome; empty if there were none."""
    return f", repaired: {', '.join(map(str, repairs))}" if repairs else ""


class Secret(NamedTuple):
    """A kind of secret that was hidden in an entry, and how often.

    Attributes:
        by: how it was found: `name`, `value`, or `payload` if a payload was hidden without being read.
        what: the rule for the name, the kind of value, or the reason.
        times: how often.
    """

    by: str
    what: str
    times: int


def hidden(secrets: Sequence[Secret]) -> str:
    """Return the secrets hidden in an entry as text to append to the outcome; empty if there were none."""
    return f", hidden: {', '.join(f'{by} {what} {times}' for by, what, times in secrets)}" if secrets else ""


def remark(outcome: Outcome, reason: str = "") -> str:
    """Return what `verdict` does for a narrow column: the outcome first, and the reason without brackets."""
    return f"{outcome}: {printable(reason, 100)}" if reason else str(outcome)


def foreseen(decision: object) -> str:
    """Return the outcome that a decision of the rules leads to, as text: skipped for a `Skip`, else captured."""
    return verdict(Outcome.SKIPPED, str(decision)) if isinstance(decision, Skip) else str(Outcome.CAPTURED)
