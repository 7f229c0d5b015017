"""Stores the entries that have arrived: the newest ones in memory, and optionally all of them in a file."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from akto_mirror import counts, private_files
from akto_mirror.escaping import printable
from akto_mirror.ingestion.entries.concerns import LOSSES, Concern, Concerns, concerns
from akto_mirror.ingestion.inventory import Inventory

KEEP_ENTRIES = 100_000
KEEP_BYTES = 256 * 1024 * 1024

# The field of entries in the file that lists what Akto would lose, and why.
MARK = "akto_mirror_loss"

T = TypeVar("T")


class Answer(NamedTuple):
    """The response to one `POST /api/ingestData`.

    Attributes:
        status: The HTTP status code.
        taken: How many entries were accepted; with 422 those before the bad one.
        reason: Why the request was refused, unescaped; empty for 200.
    """

    status: int
    taken: int
    reason: str


class Store:
    """Keeps the newest entries in memory, at most `keep` and `KEEP_BYTES`, and appends all to a file if given.

    They are kept encoded: decoded, a few bytes of brackets would take many times their size.

    Every method may be called from any thread.
    """

    def __init__(self, keep: int = KEEP_ENTRIES, out: Path | None = None, raise_concerns: Concerns = concerns) -> None:
        """Open the file.

        Args:
            keep: The most entries in memory.
            out: The file.
            raise_concerns: Returns the concerns about an entry.

        Raises:
            OSError: If `out` cannot be written.
        """
        self.total = 0
        self.arriving = 0
        self.batches: deque[int] = deque(maxlen=KEEP_ENTRIES)
        self.answers: Counter[int] = Counter()
        # What Akto would lose, by kind and reason.
        self.losses: Counter[tuple[str, str]] = Counter()
        # It changes when the service is restarted or cleared, by which an open page notices it.
        self.run = secrets.token_hex(4)
        self._concerns = raise_concerns
        self._inventory = Inventory(raise_concerns)
        self._keep = keep
        self._entries: deque[bytes] = deque()
        self._bytes = 0
        # Unbuffered, so that data that the disk refused is not written later.
        self._out: FileIO | None = FileIO(out, "ab", opener=_create_private) if out else None
        self._torn = out is not None and _is_torn(out)
        self._changed = threading.Condition()

    def add(self, entry: dict[str, Any]) -> None:
        """Store one entry.

        Raises:
            OSError: If it cannot be written to the file; the entry then counts as not accepted.
        """
        raised = self._concerns(entry)
        losses = [concern for concern in raised if concern.kind in LOSSES]
        encoded = msgspec.json.encode(entry)
        with self._changed:
            if self._out is not None:
                self._write(self._out, (_marked(entry, losses) if losses else encoded) + b"\n")
            self._entries.append(encoded)
            self._bytes += len(encoded)
            while self._entries and (len(self._entries) > self._keep or self._bytes > KEEP_BYTES):
                self._bytes -= len(self._entries.popleft())
            self.total += 1
            self.losses.update((concern.kind, concern.reason) for concern in losses)
            self._inventory.add(entry, raised)
            self._changed.notify_all()

    def look(self, read: Callable[[Inventory], T]) -> T:
        """Read the inventory while nothing changes it."""
        with self._changed:
            return read(self._inventory)

    def clear(self) -> None:
        """Forget the entries and their inventory; numbering continues, and the file is not changed."""
        with self._changed:
            self._entries.clear()
            self._bytes = 0
            self._inventory = Inventory(self._concerns)
            self.run = secrets.token_hex(4)

    def lost(self) -> str:
        """Return what Akto's runtime would lose of the entries, by kind and reason, as text to append to a summary."""
        with self._changed:
            counts = dict(self.losses)
        lines = [
            f"; {kind}: {', '.join(f'{reason} {count}' for (of, reason), count in counts.items() if of == kind)}"
            for kind in dict.fromkeys(kind for kind, _ in counts)
        ]
        return printable("".join(lines))

    def note(self, answer: Answer) -> None:
        """Count one request."""
        with self._changed:
            self.answers[answer.status] += 1
            if answer.status == 200:
                self.batches.append(answer.taken)

    def since(self, number: int, limit: int | None = None) -> tuple[int, list[bytes]]:
        """Return entries in order of arrival, starting at `number` (from 0) or at the oldest that is kept.

        Returns:
            The number of the first entry returned, and at most `limit` entries, each as JSON.
        """
        with self._changed:
            oldest = self.total - len(self._entries)
            first = min(max(number, oldest), self.total)
            return first, list(islice(self._entries, first - oldest, None if limit is None else first - oldest + limit))

    def wait_for(self, count: int, timeout: float) -> None:
        """Wait until `count` entries have arrived since the start.

        Args:
            count: How many entries.
            timeout: The longest wait in seconds.

        Raises:
            TimeoutError: If fewer arrived in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.total >= count, timeout):
                raise TimeoutError(f"{self.total} of {counts.count(count, 'entry')} arrived within {timeout} s")

    def close(self) -> None:
        """Close the file."""
        with self._changed:
            if self._out is not None:
                self._out.close()
                self._out = None

    def _write(self, out: FileIO, line: bytes) -> None:
        """Append a line, first ending one that an earlier error has cut off."""
        rest = b"\n" + line if self._torn else line
        while rest:
            rest = rest[out.write(rest) :]
            self._torn = bool(rest)


def _marked(entry: dict[str, Any], losses: list[Concern]) -> bytes:
    """Encode an entry with a field for what Akto would lose; Akto's service ignores unknown fields."""
    return msgspec.json.encode(entry | {MARK: " ".join(concern.sentence for concern in losses)})


def _is_torn(out: Path) -> bool:
    """Return whether a crash has cut off the last line; False if it is not a file or cannot be read."""
    try:
        if not out.is_file():
            return False
        with out.open("rb") as file:
            return not private_files.ends_a_line(file.fileno())
    except OSError:
        return False


def _create_private(path: str, flags: int) -> int:
    """Open a file; a new one is readable by its owner only. A pipe is refused because it would block."""
    if Path(path).is_fifo() or Path(path).is_socket():
        raise OSError(errno.ESPIPE, "it is a pipe or a socket, whose reader could stop the service")
    return os.open(path, flags, 0o600)
