"""What is in a spool, for those who only look: without a lock and without a change."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akto_mirror import private_files
from akto_mirror.delivery.spool.file import LOCK_S, SpoolError, read_text, told

# The end of the year 9999, after which no date can be told.
LAST_SECOND = 253_402_300_799

# The columns of a `DeadLetter`.
LETTER = "id, created, target, reason, count, payload"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter on disk; `created` in epoch seconds."""

    id: int
    created: float
    target: str
    reason: str
    count: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Share:
    """What waits for one target: its name, batches, entries, bytes, and when the oldest was written (epoch seconds)."""

    target: str
    batches: int
    entries: int
    size: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of what waits and of dead letters, of all processes; when a target's oldest batch was written, or None."""

    waiting: int
    dead: int
    oldest: float | None


def measure(folder: Path, target: str) -> Sizes | None:
    """Look at a spool from outside, without a lock or a change; None if there is none, or it cannot be read.

    Args:
        folder: of the spool.
        target: whose oldest batch is looked for.
    """
    file = folder / private_files.FILE
    try:
        if not file.exists():
            return None
        with contextlib.closing(_reader(file)) as db:
            (oldest,) = db.execute("SELECT MIN(created) FROM batches WHERE target = ?", (target,)).fetchone()
            waiting, dead = db.execute("SELECT waiting, dead FROM totals").fetchone()
            return Sizes(waiting, dead, None if oldest is None else epoch(oldest))
    except (sqlite3.Error, OSError):
        return None


def newest_dead(folder: Path, count: int) -> Iterator[DeadLetter]:
    """Read the newest dead letters, newest first, from outside: without a lock or a change, one after another.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    file = folder / private_files.FILE
    try:
        if not file.exists():
            raise SpoolError(f"nothing is on disk: {file} does not exist")
        with contextlib.closing(_reader(file)) as db:
            rows = db.execute(f"SELECT {LETTER} FROM dead ORDER BY id DESC LIMIT ?", (count,))  # noqa: S608 - constant
            yield from map(read_letter, rows)
    except (sqlite3.Error, OSError, ValueError, OverflowError, TypeError) as fault:
        raise SpoolError(f"{file}: {told(fault)}") from fault


def _reader(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=LOCK_S)
    db.text_factory = read_text
    return db


def read_letter(row: Sequence[Any]) -> DeadLetter:
    """Read a row as it should be, whatever a damaged or tampered file holds."""
    number, created, target, reason, count, payload = row
    raw = payload if isinstance(payload, bytes) else str(payload).encode()
    return DeadLetter(number, epoch(created), str(target), str(reason), count, raw)


def epoch(seconds: object) -> float:
    """Return a time that can be told; 0 for what is none."""
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds <= LAST_SECOND else 0.0
