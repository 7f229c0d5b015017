"""What became of every flow, counted in one place."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from akto_mirror.outcomes import ALWAYS_SHOWN, PENDING, PLACES, Dropped, Format, Outcome, Reason, Repair, Secret

logger = logging.getLogger(__name__)

# Is called with entries, or their hashes where the entries are not at hand, what became of them, and why.
Observer = Callable[[Sequence[bytes | int], Outcome, str], None]

K = TypeVar("K")


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
        repaired: payloads that were changed so that Akto can read them, by format.
        hidden: secrets that were redacted, by what they were found by and which they were, as `outcomes.Secret` says.
        batches: batches shipped.
        failures: failed attempts to send a batch.
        sent_bytes: bytes of the entries shipped.
        send_seconds: seconds that all attempts took in sum.
        errors: errors of hooks that the traffic went past.
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
    repaired: Mapping[Format, int] = field(default_factory=dict)
    hidden: Mapping[tuple[str, str], int] = field(default_factory=dict)

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

    def after_a_kill(self) -> Snapshot:
        """Return what the counts come to once their process has been killed.

        What was in memory is lost, and what was on disk is for others to send.
        """
        lost = self.queued + self.in_flight
        places = {**self.places, Outcome.QUEUED: 0, Outcome.IN_FLIGHT: 0, Outcome.SPOOLED: 0}
        places[Outcome.HANDED_OVER] += self.spooled
        dropped = dict(self.dropped) | ({Dropped.KILLED: self.dropped.get(Dropped.KILLED, 0) + lost} if lost else {})
        return replace(self, places=places, dropped=dropped)

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
    )


def _added(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    together: Counter[K] = Counter()
    for each in counts:
        together.update(each)
    return dict(together)


def _sum(counts: Mapping[Dropped, int] | Mapping[Reason, int]) -> str:
    """Write a total and, where there is one, what it consists of."""
    parts = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"{sum(counts.values())}" + (f" ({parts})" if parts else "")


@dataclass
class Stats:
    """Counters that the proxy's event loop and the sender thread share.

    Every method is one locked step, after which captured + recovered is the sum of all places and drops.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _captured: int = 0
    _recovered: int = 0
    _shortened: int = 0
    _batches: int = 0
    _failures: int = 0
    _sent_bytes: int = 0
    _send_seconds: float = 0.0
    _errors: int = 0
    _places: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    _dropped: Counter[Dropped] = field(default_factory=Counter)
    _skipped: Counter[Reason] = field(default_factory=Counter)
    _repaired: Counter[Format] = field(default_factory=Counter)
    _hidden: Counter[tuple[str, str]] = field(default_factory=Counter)
    _observer: Observer | None = None

    def observe(self, observer: Observer) -> None:
        """Report from now on what becomes of entries, on the thread on which it does."""
        self._observer = observer

    @property
    def is_observed(self) -> bool:
        """Whether outcomes of single entries are observed."""
        return self._observer is not None

    def skip(self, reason: Reason) -> None:
        """Count a flow that a rule left out."""
        with self._lock:
            self._skipped[reason] += 1

    def shorten(self) -> int:
        """Count an entry whose payloads were cut; returns how many there are now."""
        with self._lock:
            self._shortened += 1
            return self._shortened

    def repair(self, repairs: Iterable[Repair]) -> None:
        """Count payloads that were changed so that Akto can read them."""
        with self._lock:
            self._repaired.update(repair.format for repair in repairs)

    def hide(self, secrets: Iterable[Secret]) -> None:
        """Count what was redacted in an entry."""
        with self._lock:
            for by, what, count in secrets:
                self._hidden[by, what] += count

    def err(self) -> None:
        """Count an error of a hook."""
        with self._lock:
            self._errors += 1

    def capture(self) -> None:
        """Count an entry that was made and queued."""
        with self._lock:
            self._captured += 1
            self._places[Outcome.QUEUED] += 1

    def lose(self, reason: Dropped) -> int:
        """Count an entry that was captured and lost at once; returns how many are for this reason."""
        with self._lock:
            self._captured += 1
            self._dropped[reason] += 1
            return self._dropped[reason]

    def recover(self, count: int) -> None:
        """Count entries found in the spool that another process left there."""
        with self._lock:
            self._recovered += count
            self._places[Outcome.SPOOLED] += count

    def move(
        self,
        entries: Sequence[bytes | int],
        start: Outcome,
        end: Outcome,
        reason: str = "",
        *,
        count: int | None = None,
    ) -> None:
        """Count entries that went from one place to another, and report it; of an attempt only the end is reported.

        Args:
            entries: themselves, or the hashes of those that are known.
            start: where they were.
            end: where they are; of those that are dropped the reason is a `Dropped`.
            reason: why.
            count: how many they are, where not all are known.
        """
        count = len(entries) if count is None else count
        with self._lock:
            self._places[start] -= count
            if end is not Outcome.DROPPED:
                self._places[end] += count
            elif count:
                self._dropped[Dropped(reason)] += count
        if entries and end is not Outcome.IN_FLIGHT:
            self._report(entries, end, reason)

    def _report(self, entries: Sequence[bytes | int], end: Outcome, reason: str) -> None:
        try:
            if self._observer is not None:
                self._observer(entries, end, reason)
        except Exception:
            # What is delivered is not to depend on what is shown.
            logger.warning("akto: an error in showing what became of entries; please report this", exc_info=True)

    def attempt(self, seconds: float, sent: Sequence[bytes], *, ok: bool) -> None:
        """Count one attempt to send a batch, the seconds that it took, and what has arrived."""
        with self._lock:
            self._failures += not ok
            self._send_seconds += seconds
            self._batches += bool(sent)
            self._sent_bytes += sum(map(len, sent))

    def count(self, place: Outcome) -> int:
        """Return the number of entries in one place."""
        return self._places[place]

    def snapshot(self) -> Snapshot:
        """Return all counts as of now."""
        with self._lock:
            return Snapshot(
                captured=self._captured,
                recovered=self._recovered,
                places=dict(self._places),
                dropped=dict(self._dropped),
                skipped=dict(self._skipped),
                shortened=self._shortened,
                batches=self._batches,
                failures=self._failures,
                sent_bytes=self._sent_bytes,
                send_seconds=self._send_seconds,
                errors=self._errors,
                repaired=dict(self._repaired),
                hidden=dict(self._hidden),
            )
