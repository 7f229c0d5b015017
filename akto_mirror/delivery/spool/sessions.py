"""Statements for sessions in the spool, which record who owns a batch and its target, to be run within a transaction.

A session holds what one process stores for one target. It changes its owner or its target as a whole: one short row is
overwritten, however many batches it has.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from akto_mirror.delivery.spool.schema import FIRST_BEAT, FREE

_HELD = "FROM batches JOIN sessions ON sessions.id = batches.session WHERE holder = ?"
_EMPTY = "NOT EXISTS (SELECT 1 FROM batches WHERE session = sessions.id)"


def newest(db: sqlite3.Connection, holder: str, target: str) -> int | None:
    """Return an owner's newest session for a target; None if there is none."""
    row = db.execute("SELECT MAX(id) FROM sessions WHERE holder = ? AND target = ?", (holder, target)).fetchone()
    return None if row[0] is None else int(row[0])


def own(db: sqlite3.Connection, holder: str, target: str) -> int:
    """Return an owner's newest session for a target; a new one if there is none."""
    found = newest(db, holder, target)
    return begin(db, holder, target) if found is None else found


def begin(db: sqlite3.Connection, holder: str, target: str) -> int:
    """Begin a session."""
    done = db.execute("INSERT INTO sessions (holder, beats, target) VALUES (?,?,?)", (holder, FIRST_BEAT, target))
    return done.lastrowid or 0


def beat(db: sqlite3.Connection, holder: str) -> None:
    """Increment a heartbeat."""
    db.execute("UPDATE sessions SET beats = beats + 1 WHERE holder = ?", (holder,))


def signs(db: sqlite3.Connection, holder: str) -> dict[str, float]:
    """Return the heartbeats of all other owners, by name."""
    rows = db.execute(
        "SELECT holder, TOTAL(beats) FROM sessions WHERE holder NOT IN (?, ?) GROUP BY holder", (holder, FREE)
    )
    return {str(name): float(count) for name, count in rows}


def take_over(db: sqlite3.Connection, holder: str, target: str, dead: Collection[str]) -> dict[int, int]:
    """Take over the sessions for a target that are free or belong to dead owners.

    The new owner's sessions for other targets are redirected to this one.

    Returns:
        The sessions that were taken over, and how many entries each has.
    """
    free = json.dumps([FREE, *dead])
    found = db.execute(
        "SELECT sessions.id, TOTAL(count) FROM sessions JOIN batches ON batches.session = sessions.id"
        " WHERE target = ? AND holder IN (SELECT value FROM json_each(?)) GROUP BY sessions.id",
        (target, free),
    ).fetchall()
    db.execute(
        "UPDATE sessions SET holder = ? WHERE target = ? AND holder IN (SELECT value FROM json_each(?))",
        (holder, target, free),
    )
    db.execute("UPDATE sessions SET target = ? WHERE holder = ? AND target <> ?", (target, holder, target))
    last = "(SELECT MAX(id) FROM sessions WHERE holder = :holder)"
    db.execute(
        f"DELETE FROM sessions WHERE holder = :holder AND id <> {last} AND {_EMPTY}",  # noqa: S608 - constants
        {"holder": holder},
    )
    return {int(session): int(count) for session, count in found}


def in_doubt(db: sqlite3.Connection, target: str, dead: Collection[str]) -> int:
    """Return how many of a target's entries dead owners may have delivered: each was sending at most one batch."""
    row = db.execute(
        "SELECT TOTAL(most) FROM (SELECT MAX(count) AS most FROM batches JOIN sessions ON sessions.id = session"
        " WHERE target = ? AND holder IN (SELECT value FROM json_each(?)) GROUP BY holder)",
        (target, json.dumps([*dead])),
    ).fetchone()
    return int(row[0])


def release(db: sqlite3.Connection, holder: str) -> None:
    """Leave everything to the next session."""
    db.execute(f"DELETE FROM sessions WHERE holder = ? AND {_EMPTY}", (holder,))  # noqa: S608 - constant
    db.execute("UPDATE sessions SET holder = ? WHERE holder = ?", (FREE, holder))


def redirect(db: sqlite3.Connection, start: str, end: str) -> int:
    """Redirect everything that waits for one target to another, and free it; returns how many entries."""
    (count,) = db.execute(
        "SELECT TOTAL(count) FROM batches JOIN sessions ON sessions.id = session WHERE target = ?", (start,)
    ).fetchone()
    db.execute("UPDATE sessions SET target = ?, holder = ? WHERE target = ?", (end, FREE, start))
    return int(count)


def entries(db: sqlite3.Connection, holder: str, skip: str = "[]") -> int:
    """Count an owner's entries, except those of the batches whose ids `skip` lists as JSON."""
    row = db.execute(
        f"SELECT TOTAL(count) {_HELD} AND batches.id NOT IN (SELECT value FROM json_each(?))",  # noqa: S608 - constant
        (holder, skip),
    ).fetchone()
    return int(row[0])


def batches(db: sqlite3.Connection, holder: str) -> set[int]:
    """Return the ids of an owner's batches."""
    return {number for (number,) in db.execute(f"SELECT batches.id {_HELD}", (holder,))}


def holds(db: sqlite3.Connection, holder: str, batch: int) -> bool:
    """Return whether an owner has a batch."""
    return db.execute(f"SELECT 1 {_HELD} AND batches.id = ?", (holder, batch)).fetchone() is not None
