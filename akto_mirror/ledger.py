"""Which flows of recorded files are done, so that an interrupted replay can go on where it was."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from akto_mirror.delivery.sinks.base import SendResult, Sink
from akto_mirror.delivery.sinks.symptoms import Kind


class Ledger:
    """The flows of one file by their number, counted from 0: begun, and of these still open.

    A flow counts as done only when it was said to be, so that an interrupt at any point leaves it open.

    Args:
        seen: the number of flows begun by an earlier replay.
        missing: those of them that were left open.
    """

    def __init__(self, seen: int = 0, missing: Iterable[int] = ()) -> None:
        self.seen = seen
        self._open = set(missing)
        self._lock = threading.Lock()

    def is_done(self, number: int) -> bool:
        """Tell whether a flow is done."""
        return number < self.seen and number not in self._open

    def begin(self, number: int) -> None:
        """Open a flow."""
        with self._lock:
            self._open.add(number)
            self.seen = max(self.seen, number + 1)

    def settle(self, number: int) -> None:
        """Close a flow: shipped, or nothing to ship."""
        with self._lock:
            self._open.discard(number)

    @property
    def open(self) -> int:
        """The number of flows that are open."""
        return len(self._open)

    def missing(self) -> list[int]:
        """Return the flows that are open."""
        with self._lock:
            return sorted(self._open)


class Manifest:
    """Which flows the entries under way stem from; entries that are equal are as good as one another."""

    def __init__(self) -> None:
        self.shipped = 0
        self._origins: defaultdict[bytes, deque[tuple[Ledger, int]]] = defaultdict(deque)
        self._lock = threading.Lock()

    def add(self, entry: bytes, ledger: Ledger, number: int) -> None:
        """Note that an encoded entry, made of a flow, goes on its way."""
        with self._lock:
            self._origins[entry].append((ledger, number))

    def remove(self, entry: bytes) -> tuple[Ledger, int] | None:
        """Return what an entry was made of, and forget it."""
        with self._lock:
            origins = self._origins.get(entry)
            if not origins:
                return None
            origin = origins.popleft()
            if not origins:
                del self._origins[entry]
            return origin

    def arrive(self, entries: Sequence[bytes]) -> None:
        """Settle the flows of entries that have arrived."""
        for entry in entries:
            origin = self.remove(entry)
            if origin is not None:
                self.shipped += 1
                origin[0].settle(origin[1])


class ReceiptSink:
    """A sink that notes in a manifest what has arrived at another one.

    Args:
        sink: where entries go.
        manifest: where arrivals are noted.

    Attributes:
        trouble: how the last try failed; None if it did not.
    """

    def __init__(self, sink: Sink, manifest: Manifest) -> None:
        self.trouble: SendResult | None = None
        self._sink = sink
        self._manifest = manifest

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Send on, and note the outcome."""
        result = self._sink.send(entries, timeout_s)
        passed = result.kind is Kind.SHIPPED
        if passed:
            self._manifest.arrive(entries)
        self.trouble = None if passed else result
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
