"""What became of a flow or of its entry, in words: the vocabulary of verdicts."""

from __future__ import annotations

from enum import StrEnum

from akto_mirror.capture.rules import Skip
from akto_mirror.escaping import printable


class Outcome(StrEnum):
    """Where a flow is on its way to Akto, or how that way ended: a closed vocabulary."""

    SKIPPED = "skipped"
    DRY_RUN = "captured (dry run)"
    CAPTURED = "captured"
    QUEUED = "queued"
    SPOOLED = "spooled"
    SHIPPED = "shipped"
    REJECTED = "rejected"
    DROPPED = "dropped"


# An entry of such an outcome may still have another one.
UNDER_WAY = frozenset({Outcome.CAPTURED, Outcome.QUEUED, Outcome.SPOOLED})


def verdict(outcome: Outcome, reason: str = "") -> str:
    """Return an outcome with its reason, as one short line that nothing in the reason can break."""
    return f"{outcome} ({printable(reason, 100)})" if reason else str(outcome)


def foreseen(decision: object) -> str:
    """Return what a decision of the rules makes of a flow, before anything is sent: a `Skip`, or else a capture."""
    return verdict(Outcome.SKIPPED, str(decision)) if isinstance(decision, Skip) else str(Outcome.CAPTURED)
