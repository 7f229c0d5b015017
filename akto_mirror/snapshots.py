"""The counts at one moment, of one process or summed over several, including those of sampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from typing import NamedTuple, TypeVar

from akto_mirror import counts
from akto_mirror.escaping import printable
from akto_mirror.outcomes import ALWAYS_SHOWN, PENDING, PLACES, Dropped, Format, Outcome, Reason

K = TypeVar("K")

# How many endpoints a line lists, and how many characters all names of endpoints in a report have together at most: a
# report has to fit into one message.
SHOWN = 5
MOST_CHARS = 64 * 1024


class Takeover(NamedTuple):
    """A session of the spool that a process has begun or taken over.

    Attributes:
        at: when, in seconds of the machine's monotonic clock.
        session: its number in the spool.
        entries: how many entries it had; 0 if it was begun.
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
        places: where these entries are now; `handed over` are those that another process took from the spool.
        dropped: entries lost, by reason.
        skipped: flows that a rule left out, by reason; they were not captured.
        shortened: entries that were cut because they were too large.
        doubtful: entries of attempts without a response, which are sent again although they may have arrived; for each
            process that was killed, one such attempt is assumed.
        repaired: payloads that were changed so that Akto can read them, by format.
        hidden: secrets that were redacted, by `by` and `what` of `outcomes.Secret`.
        batches: batches shipped.
        failures: failed attempts to send a batch.
        sent_bytes: bytes of the entries shipped.
        send_seconds: seconds that all attempts took in total.
        errors: errors in hooks, which did not affect the traffic.
        left: how many of the entries on disk belong to processes that have ended.
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
        """Entries that Akto accepted."""
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
        """Entries that another process, or a user, took out of the spool."""
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
        """Return the counts after the end of their process, when entries on disk are left for others to send.

        Args:
            killed: whether its entries in memory are lost.
        """
        ended = replace(self, left=self.spooled)
        lost = self.queued + self.in_flight if killed else 0
        if not lost:
            return ended
        dropped = {**self.dropped, Dropped.KILLED: self.dropped.get(Dropped.KILLED, 0) + lost}
        return replace(ended, places={**self.places, Outcome.QUEUED: 0, Outcome.IN_FLIGHT: 0}, dropped=dropped)

    def settled(self) -> Snapshot:
        """Return a sum in which an entry that one of its processes left and another one took over is counted once."""
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


class Endpoint(NamedTuple):
    """An endpoint: host, method, path template, and the first digit of the status."""

    host: str
    method: str
    path: str
    status_class: str

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path} {self.status_class}xx"


class Account(NamedTuple):
    """What sampling has left out, and what it remembers.

    Attributes:
        most: the endpoints of which the most exchanges were left out, with their numbers.
        left_out: exchanges left out of all endpoints, including forgotten ones.
        endpoints: how many are known.
        forgotten: how many were forgotten.
        size: bytes that they take.
    """

    most: list[tuple[Endpoint, int]]
    left_out: int
    endpoints: int
    forgotten: int
    size: int

    def __str__(self) -> str:
        most = [f"{printable(str(endpoint))} {count}" for endpoint, count in self.most[:SHOWN]]
        of = f", most of {', '.join(most)}" if most else ""
        forgotten = f", forgot {self.forgotten}" if self.forgotten else ""
        return f"knows {counts.count(self.endpoints, 'endpoint')}{forgotten}, left out {self.left_out}{of}"

    def brief(self, most_chars: int) -> Account:
        """Return the same with fewer endpoints, whose names have at most this many characters in total."""
        lengths = accumulate(sum(map(len, endpoint)) for endpoint, _ in self.most)
        return self._replace(most=self.most[: sum(length <= most_chars for length in lengths)])

    @staticmethod
    def total(accounts: Iterable[Account | None]) -> Account | None:
        """Return the sum of the accounts of several processes, including endpoints and memory."""
        given = [each for each in accounts if each is not None]
        if not given:
            return None
        most: Counter[Endpoint] = Counter()
        for each in given:
            most.update(dict(each.most))
        return Account(
            most.most_common(max(len(each.most) for each in given)),
            left_out=sum(each.left_out for each in given),
            endpoints=sum(each.endpoints for each in given),
            forgotten=sum(each.forgotten for each in given),
            size=sum(each.size for each in given),
        )


class Report(NamedTuple):
    """The report of a process about itself.

    Attributes:
        counts: what became of its flows.
        queue_bytes: bytes of memory that waiting entries take.
        oldest_s: age in seconds of the oldest entry that is not shipped.
        sampling: what its sampling has left out; None if it never sampled.
    """

    counts: Snapshot
    queue_bytes: int
    oldest_s: float
    sampling: Account | None = None

    @staticmethod
    def total(reports: Sequence[Report]) -> Report:
        """Return the sum of reports, with the greatest age, and with as many endpoints as fit into a message."""
        sampling = Account.total(each.sampling for each in reports)
        return Report(
            counts=total([each.counts for each in reports]),
            queue_bytes=sum(each.queue_bytes for each in reports),
            oldest_s=max((each.oldest_s for each in reports), default=0.0),
            sampling=sampling.brief(MOST_CHARS) if sampling else None,
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
    """Return how many entries were taken over from processes of the same sum, not counting the first time."""
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
    """Format a total and, if there is one, its breakdown."""
    parts = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"{sum(counts.values())}" + (f" ({parts})" if parts else "")
