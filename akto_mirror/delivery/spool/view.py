"""Reads the contents of a spool from outside, without changing anything or blocking its users for long.

While a reader has the file locked, no process can commit, so each read is one short statement with a time limit.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akto_mirror import private_files
from akto_mirror.delivery.spool import schema
from akto_mirror.delivery.spool.errors import NothingError, SpoolError, in_words
from akto_mirror.delivery.spool.lock import LOCK_S

# The end of the year 9999, the last date that can be shown.
LAST_SECOND = 253_402_300_799

# Seconds that one read may take, which is less than others wait for it; and how many of SQLite's steps pass between two
# checks of the clock.
LOOK_S = LOCK_S / 4
LOOK_STEPS = 10_000

_LETTER = (
    "SELECT dead.id, created, target, reason, count, payloads.payload FROM dead"
    " LEFT JOIN payloads ON payloads.id = dead.payload"
)


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
    """The waiting entries of one target: its name, batches, entries, bytes, and the oldest time (epoch seconds)."""

    target: str
    batches: int
    entries: int
    size: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of waiting entries and of dead letters, of all processes; when a target's oldest batch was written."""

    waiting: int
    dead: int
    oldest: float | None


def measure(folder: Path, target: str) -> Sizes | None:
    """Measure a spool from outside; None if there is none or it cannot be read now.

    Args:
        folder: the spool's folder.
        target: the target whose oldest batch is wanted.
    """
    try:
        with _looking(folder) as db:
            waiting, dead = db.execute("SELECT waiting, dead FROM totals").fetchone()
            return Sizes(waiting, dead, _oldest(db, target))
    except (SpoolError, sqlite3.Error, OSError, ValueError, TypeError):
        return None


def _oldest(db: sqlite3.Connection, target: str) -> float | None:
    """Return when a target's oldest batch was written; only the first batch of each session is read."""
    first = (
        "SELECT MIN(batches.id) FROM sessions JOIN batches ON session = sessions.id WHERE target = ? GROUP BY session"
    )
    (oldest,) = db.execute(f"SELECT MIN(created) FROM batches WHERE id IN ({first})", (target,)).fetchone()  # noqa: S608 - constant
    return None if oldest is None else epoch(oldest)


def shares(folder: Path) -> list[Share]:
    """List the waiting entries by target, from outside.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with _telling(folder), _looking(folder) as db:
        return read_shares(db)


def dead_sizes(folder: Path) -> tuple[int, int]:
    """Count the dead letters and the bytes of their payloads, from outside.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with _telling(folder), _looking(folder) as db:
        count, size = db.execute(
            "SELECT COUNT(*), TOTAL(LENGTH(payloads.payload)) FROM dead"
            " LEFT JOIN payloads ON payloads.id = dead.payload"
        ).fetchone()
        return int(count), int(size)


def letters(folder: Path) -> Iterator[DeadLetter]:
    """Read the dead letters one by one, oldest first, from outside.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with _telling(folder), _looking(folder) as db:
        yield from _one_by_one(db, db.execute("SELECT id FROM dead ORDER BY id").fetchall())


def newest_dead(folder: Path, count: int) -> Iterator[DeadLetter]:
    """Read the newest dead letters one by one, newest first, from outside.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with _telling(folder), _looking(folder) as db:
        yield from _one_by_one(db, db.execute("SELECT id FROM dead ORDER BY id DESC LIMIT ?", (count,)).fetchall())


def _one_by_one(db: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> Iterator[DeadLetter]:
    """Yield letters without holding a lock in between, however slowly they are consumed; deleted ones are left out."""
    for (number,) in numbers:
        _give_up_in_time(db)
        row = db.execute(f"{_LETTER} WHERE dead.id = ?", (number,)).fetchone()
        if row is not None:
            yield read_letter(row)


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, OverflowError, TypeError) as error:
        raise SpoolError(f"{folder}: {in_words(error)}") from error


@contextmanager
def _looking(folder: Path) -> Iterator[sqlite3.Connection]:
    file = schema.own_file(folder, LOOK_S)
    if not file.exists():
        raise NothingError(f"nothing is on disk: {file} does not exist")
    private_files.check_file(file)
    with contextlib.closing(schema.reader(file, LOCK_S)) as db:
        _give_up_in_time(db)
        if not schema.has_tables(db):
            raise NothingError(f"nothing is on disk: {file} has no tables")
        _give_up_in_time(db)
        yield db


def _give_up_in_time(db: sqlite3.Connection) -> None:
    """Limit the time of the next statement, which runs from its first step, after it has got its lock."""
    end: list[float] = []

    def is_over() -> bool:
        if not end:
            end.append(time.monotonic() + LOOK_S)
        return time.monotonic() > end[0]

    db.set_progress_handler(is_over, LOOK_STEPS)


def read_shares(db: sqlite3.Connection) -> list[Share]:
    """List the waiting entries by target, within a transaction."""
    rows = db.execute(
        "SELECT target, COUNT(*), TOTAL(count), TOTAL(size), MIN(created) FROM batches"
        " JOIN sessions ON sessions.id = session GROUP BY target"
    )
    return [Share(str(to), batches, int(count), int(size), epoch(oldest)) for to, batches, count, size, oldest in rows]


def read_letters(db: sqlite3.Connection) -> Iterator[DeadLetter]:
    """Read the dead letters, oldest first, within a transaction."""
    return map(read_letter, db.execute(f"{_LETTER} ORDER BY dead.id"))


def read_letter(row: Sequence[Any]) -> DeadLetter:
    """Read a row with the right types, whatever a damaged or manipulated file contains."""
    number, created, target, reason, count, payload = row
    raw = payload if isinstance(payload, bytes) else str(payload).encode()
    return DeadLetter(number, epoch(created), str(target), str(reason), count, raw)


def epoch(seconds: object) -> float:
    """Return a value as a time that can be shown; 0 for anything else."""
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds <= LAST_SECOND else 0.0
