"""Tracks which flows of recorded files are finished, so that an interrupted replay can be resumed."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import NamedTuple

from akto_mirror.delivery import EntryResult, Kind, SendResult, Sink


class Progress:
    """The flows of one file, by their numbers from 0: how many were begun, and which of them are open.

    A flow is finished only when `finish` is called, so that an interrupt at any point leaves it open.

    Args:
        seen: the number of flows begun by an earlier replay.
        missing: the flows among these that were left open.
    """

    def __init__(self, seen: int = 0, missing: Iterable[int] = ()) -> None:
        self.seen = seen
        self._open = set(missing)
        self._shipped: list[bytes] = []
        self._lock = threading.Lock()

    def is_done(self, number: int) -> bool:
        """Return whether a flow is finished."""
        return number < self.seen and number not in self._open

    def begin(self, number: int) -> None:
        """Open a flow."""
        with self._lock:
            self._open.add(number)
            self.seen = max(self.seen, number + 1)

    def finish(self, number: int, digest: bytes = b"") -> None:
        """Finish a flow: it was shipped, or there is nothing to ship.

        Args:
            number: the flow's number.
            digest: the digest of its entry, if it was shipped.
        """
        with self._lock:
            self._open.discard(number)
            if digest:
                self._shipped.append(digest)

    def newly_shipped(self) -> list[bytes]:
        """Return the digests of the entries shipped since the last call."""
        with self._lock:
            found, self._shipped = self._shipped, []
            return found

    @property
    def open(self) -> int:
        """The number of flows that are open."""
        return len(self._open)

    def missing(self) -> list[int]:
        """Return the flows that are open."""
        with self._lock:
            return sorted(self._open)


class Origin(NamedTuple):
    """The origin of an entry: a flow of a file, by its number; and the entry's digest."""

    progress: Progress
    number: int
    digest: bytes = b""


class InFlight:
    """The origins of entries that are being delivered; equal entries are interchangeable."""

    def __init__(self) -> None:
        self.shipped = 0
        self._origins: defaultdict[bytes, deque[Origin]] = defaultdict(deque)
        self._lock = threading.Lock()

    def add(self, entry: bytes, origin: Origin) -> None:
        """Add an encoded entry that is being delivered."""
        with self._lock:
            self._origins[entry].append(origin)

    def remove(self, entry: bytes) -> Origin | None:
        """Return the origin of an entry, and remove it."""
        with self._lock:
            origins = self._origins.get(entry)
            if not origins:
                return None
            origin = origins.popleft()
            if not origins:
                del self._origins[entry]
            return origin

    def arrive(self, entries: Iterable[bytes]) -> None:
        """Finish the flows of entries that have arrived."""
        for entry in entries:
            origin = self.remove(entry)
            if origin is not None:
                self.shipped += 1
                origin.progress.finish(origin.number, origin.digest)


class TrackingSink:
    """A sink that passes entries to another one, and records which have arrived.

    Args:
        sink: the other sink.
        in_flight: where arrivals are recorded.

    Attributes:
        failure: the result of the last attempt, if it failed; else None.
    """

    def __init__(self, sink: Sink, in_flight: InFlight) -> None:
        self.failure: SendResult | None = None
        self._sink = sink
        self._in_flight = in_flight

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Send to the other sink, and record the result."""
        result = self._sink.send(entries, timeout_s)
        entry_results = result.results_of(len(entries))
        self._in_flight.arrive(compress(entries, [each is EntryResult.DELIVERED for each in entry_results]))
        self.failure = None if result.kind is Kind.SHIPPED else result
        return result

    def is_healthy(self, timeout_s: float) -> bool:
        """Ask the other sink."""
        return self._sink.is_healthy(timeout_s)

    def abort(self) -> None:
        """End the other sink's `send`."""
        self._sink.abort()

    def close(self) -> None:
        """Close the other sink."""
        self._sink.close()
