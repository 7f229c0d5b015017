"""Counts the outcomes of all flows and entries, in one place."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from akto_mirror.outcomes import PLACES, Dropped, Format, Outcome, Reason, Repair, Secret
from akto_mirror.snapshots import Snapshot, Takeover

logger = logging.getLogger(__name__)

# Called with entries, or with their hashes if the entries are not at hand, their outcome, and the reason.
Observer = Callable[[Sequence[bytes | int], Outcome, str], None]


# The most takeovers that are kept, the newest: entries of older sessions were sent long ago.
MOST_TAKEOVERS = 100


@dataclass
class Stats:
    """Counters that the proxy's event loop and the shipper's thread share.

    Every change is one locked step, after which captured + recovered is the sum of all places and drops.
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
    _doubtful: int = 0
    _places: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    _dropped: Counter[Dropped] = field(default_factory=Counter)
    _skipped: Counter[Reason] = field(default_factory=Counter)
    _repaired: Counter[Format] = field(default_factory=Counter)
    _hidden: Counter[tuple[str, str]] = field(default_factory=Counter)
    _takeovers: deque[Takeover] = field(default_factory=lambda: deque(maxlen=MOST_TAKEOVERS))
    _observer: Observer | None = None

    def observe(self, observer: Observer) -> None:
        """Call an observer with each change of an entry's outcome, on the thread that makes the change."""
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
        """Count an entry that was captured and lost at once; returns how many were lost for this reason."""
        with self._lock:
            self._captured += 1
            self._dropped[reason] += 1
            return self._dropped[reason]

    def recover(self, count: int, doubtful: int = 0) -> None:
        """Count entries found in the spool that another process left there, and how many of them it may have sent."""
        with self._lock:
            self._recovered += count
            self._doubtful += doubtful
            self._places[Outcome.SPOOLED] += count

    def take_over(self, takeovers: Iterable[Takeover]) -> None:
        """Record which sessions of the spool were begun or taken over."""
        with self._lock:
            self._takeovers.extend(takeovers)

    def move(
        self,
        entries: Sequence[bytes | int],
        start: Outcome,
        end: Outcome,
        reason: str = "",
        *,
        count: int | None = None,
    ) -> None:
        """Count entries that moved from one place to another, and report the move unless it begins an attempt.

        Args:
            entries: the entries, or the hashes of those that are known.
            start: where they were.
            end: where they are now; if that is `DROPPED`, the reason is a `Dropped`.
            reason: the reason.
            count: how many there are, if not all are known.
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
            # Delivery must not depend on the user interface.
            logger.warning("akto: an error while showing outcomes; please report this", exc_info=True)

    def attempt(self, seconds: float, sent: Sequence[bytes], *, ok: bool, doubtful: int = 0) -> None:
        """Count one attempt to send a batch, its duration in seconds, what has arrived, and how many may have."""
        with self._lock:
            self._doubtful += doubtful
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
                doubtful=self._doubtful,
                repaired=dict(self._repaired),
                hidden=dict(self._hidden),
                takeovers=tuple(self._takeovers),
            )
