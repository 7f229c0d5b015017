"""Counts the outcomes of the flows of a replay, and formats them as one line that adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from akto_mirror.capture.encoding import Captured
from akto_mirror.outcomes import Reason
from akto_mirror.replay.recording import Record


@dataclass
class Tally:
    """The outcomes of the flows that were read.

    Attributes:
        flows: all flows that were read.
        before: flows that an earlier replay has finished.
        foreign: flows that are not HTTP.
        unreadable: damaged flows.
        errors: flows whose decision raised an error, which is a bug.
        captured: flows to ship.
        skipped: flows left out by the rules, by reason.
        shortened: captured flows whose entries were shortened because they were too large.
        repaired: payloads that were changed so that Akto can read them.
        missing_bodies: bodies of captured flows that existed but are not in the recording.
        timeless: captured flows without a time between 1970 and now.
    """

    flows: int = 0
    before: int = 0
    foreign: int = 0
    unreadable: int = 0
    errors: int = 0
    captured: int = 0
    skipped: Counter[Reason] = field(default_factory=Counter)
    shortened: int = 0
    repaired: int = 0
    missing_bodies: int = 0
    timeless: int = 0

    def capture(self, record: Record, made: Captured) -> None:
        """Count a flow that is to be shipped."""
        self.captured += 1
        self.shortened += made.is_shortened
        self.repaired += len(made.repairs)
        self.missing_bodies += len(record.missing_bodies)
        self.timeless += not record.has_time

    def eligible(self) -> int:
        """Return the number of flows to ship, including one that was being read at an interrupt."""
        return self.flows - self.before - self.foreign - self.unreadable - self.errors - self.skipped.total()

    def line(self, shipped: str, lost: Counter[str] | None = None) -> str:
        """Return the line.

        Args:
            shipped: how many were shipped, or would be, as text.
            lost: how many should have been shipped but were not, by reason.
        """
        parts = [shipped, f"{self.skipped.total()} skipped{_reasons(self.skipped)}"]
        if self.before:
            parts.append(f"{self.before} done before")
        if self.foreign:
            parts.append(f"{self.foreign} not HTTP")
        if self.unreadable + self.errors:
            parts.append(f"{self.unreadable + self.errors} unreadable")
        if lost:
            parts.append(f"{lost.total()} not shipped{_reasons(lost)}")
        return f"{self.flows} {'flow' if self.flows == 1 else 'flows'} = {' + '.join(parts)}{self._asides()}"

    def _asides(self) -> str:
        known = {
            "shortened because too large": self.shortened,
            "payloads repaired": self.repaired,
            "bodies missing from the recording": self.missing_bodies,
            "times outside 1970 to now, which became now": self.timeless,
        }
        return "".join(f"; {what}: {count}" for what, count in known.items() if count)


def _reasons(counts: Mapping[Any, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in counts.items())})" if counts else ""
