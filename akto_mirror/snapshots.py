"""The counts at one moment, of one process or summed over several, which say what became of every flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple, TypeVar

from akto_mirror.outcomes import ALWAYS_SHOWN, PENDING, PLACES, Dropped, Format, Outcome, Reason

K = TypeVar("K")


class Takeover(NamedTuple):
    """A session of the spool that a process has begun or taken over.

    Attributes:
        at: when, in seconds of the machine's monotonic clock.
        session: its number in the spool.
        entries: how many were in it; 0 where it was begun.
    """

    at: float
    session: int
    entries: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counts at one moment.

    Attributes:
        captured: entries made of flows.
        recovered: entries found in the spool that another process left there.
        places: where both of them are now; `handed over` are those that another process took from the spool.
        dropped: entries lost, by reason.
        skipped: flows that a rule left out, by reason; they were never captured.
        shortened: entries that were cut because they were too large.
        doubtful: entries of attempts without an answer, which are sent again though they may have arrived; a process
            that was killed may have made one.
        repaired: payloads that were changed so that Akto can read them, by format.
        hidden: secrets that were redacted, by what they were found by and which they were, as `outcomes.Secret` says.
        batches: batches shipped.
        failures: failed attempts to send a batch.
        sent_bytes: bytes of the entries shipped.
        send_seconds: seconds that all attempts took in sum.
        errors: errors of hooks that the traffic went past.
        left: of the entries on disk, those of processes that have ended.
        takeovers: sessions of the spool that were begun or taken over.
    """

    captured: int
    recovered: int
    places: Mapping[Outcome, int]
    dropped: Mapping[Dropped, int]
    skipped: Mapping[Reason, int]
    shortened: int
    batches: int
    failures: int
    sent_bytes: int
    send_seconds: float
    errors: int = 0
    doubtful: int = 0
    repaired: Mapping[Format, int] = field(default_factory=dict)
    hidden: Mapping[tuple[str, str], int] = field(default_factory=dict)
    left: int = 0
    takeovers: tuple[Takeover, ...] = ()

    @property
    def shipped(self) -> int:
        """Entries that Akto took."""
        return self.places[Outcome.SHIPPED]

    @property
    def queued(self) -> int:
        """Entries that wait in memory."""
        return self.places[Outcome.QUEUED]

    @property
    def in_flight(self) -> int:
        """Entries of the batch that is being sent."""
        return self.places[Outcome.IN_FLIGHT]

    @property
    def spooled(self) -> int:
        """Entries that wait on disk."""
        return self.places[Outcome.SPOOLED]

    @property
    def rejected(self) -> int:
        """Entries that Akto refused for good."""
        return self.places[Outcome.REJECTED]

    @property
    def handed_over(self) -> int:
        """Entries that another process, or a person, took out of the spool."""
        return self.places[Outcome.HANDED_OVER]

    @property
    def pending(self) -> int:
        """Entries that may still be shipped by this process."""
        return sum(self.places[place] for place in PENDING)

    @property
    def missing(self) -> int:
        """Entries that no column accounts for: always 0."""
        return self.captured + self.recovered - sum(self.places.values()) - sum(self.dropped.values())

    def after_the_end(self, *, killed: bool) -> Snapshot:
        """Return what the counts come to once their process has ended: what is on disk is for others to send.

        Args:
            killed: what was in memory is lost with it.
        """
        ended = replace(self, left=self.spooled)
        lost = self.queued + self.in_flight if killed else 0
        if not lost:
            return ended
        dropped = {**self.dropped, Dropped.KILLED: self.dropped.get(Dropped.KILLED, 0) + lost}
        return replace(ended, places={**self.places, Outcome.QUEUED: 0, Outcome.IN_FLIGHT: 0}, dropped=dropped)

    def settled(self) -> Snapshot:
        """Count an entry once that one process of a sum has left and another one has taken over."""
        again = _taken_again(self.takeovers)
        left = min(again, self.left)
        handed = min(again - left, self.handed_over)
        killed = min(again - left - handed, self.dropped.get(Dropped.KILLED, 0))
        places = {**self.places}
        places[Outcome.SPOOLED] -= left
        places[Outcome.HANDED_OVER] -= handed
        dropped = {**self.dropped, Dropped.KILLED: self.dropped.get(Dropped.KILLED, 0) - killed}
        return replace(
            self,
            recovered=self.recovered - left - handed - killed,
            places=places,
            dropped={reason: count for reason, count in dropped.items() if count},
            left=self.left - left,
            takeovers=(),
        )

    def __str__(self) -> str:
        recovered = f" + recovered {self.recovered}" if self.recovered else ""
        places = [(place, self.places[place]) for place in PLACES]
        shown = [f"{place} {count}" for place, count in places if count or place in ALWAYS_SHOWN]
        return (
            f"captured {self.captured}{recovered} = {' + '.join(shown)} + dropped {_sum(self.dropped)};"
            f" skipped {_sum(self.skipped)}{f'; shortened {self.shortened}' if self.shortened else ''}"
        )


def total(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return the sum of several processes' counts."""
    return Snapshot(
        captured=sum(each.captured for each in snapshots),
        recovered=sum(each.recovered for each in snapshots),
        places={place: sum(each.places.get(place, 0) for each in snapshots) for place in PLACES},
        dropped=_added(each.dropped for each in snapshots),
        skipped=_added(each.skipped for each in snapshots),
        shortened=sum(each.shortened for each in snapshots),
        batches=sum(each.batches for each in snapshots),
        failures=sum(each.failures for each in snapshots),
        sent_bytes=sum(each.sent_bytes for each in snapshots),
        send_seconds=sum(each.send_seconds for each in snapshots),
        errors=sum(each.errors for each in snapshots),
        doubtful=sum(each.doubtful for each in snapshots),
        repaired=_added(each.repaired for each in snapshots),
        hidden=_added(each.hidden for each in snapshots),
        left=sum(each.left for each in snapshots),
        takeovers=tuple(chain.from_iterable(each.takeovers for each in snapshots)),
    )


def _taken_again(takeovers: Sequence[Takeover]) -> int:
    """Return how many entries were taken over from processes of the same sum: not the first time, but thereafter."""
    seen: set[int] = set()
    again = 0
    for each in sorted(takeovers):
        again += each.entries if each.session in seen else 0
        seen.add(each.session)
    return again


def _added(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    together: Counter[K] = Counter()
    for each in counts:
        together.update(each)
    return dict(together)


def _sum(counts: Mapping[Dropped, int] | Mapping[Reason, int]) -> str:
    """Write a total and, where there is one, what it consists of."""
    parts = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"{sum(counts.values())}" + (f" ({parts})" if parts else "")
