"""Statements for batches, dead letters and their payloads in the spool, to be run within a transaction."""

from __future__ import annotations

import sqlite3
import zlib
from dataclasses import dataclass

from akto_mirror.delivery.spool import sessions
from akto_mirror.delivery.spool.schema import FREE

# Bytes of a row besides its payload.
ROW_OVERHEAD = 256


@dataclass(frozen=True, slots=True)
class Found:
    """A batch on disk; `entries` is None if they are damaged."""

    id: int
    entries: list[bytes] | None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A batch of another format or, with a reason, a dead letter; `source` identifies it permanently."""

    source: str
    created: object
    target: str
    reason: str | None
    count: object
    size: object
    crc: object
    payload: object


def totals(db: sqlite3.Connection) -> tuple[int, int]:
    """Return the bytes of batches and of dead letters."""
    waiting, dead = db.execute("SELECT waiting, dead FROM totals").fetchone()
    return int(waiting), int(dead)


def insert_payload(db: sqlite3.Connection, payload: object) -> int:
    """Store a payload; returns its id."""
    return db.execute("INSERT INTO payloads (payload) VALUES (?)", (payload,)).lastrowid or 0


def insert(db: sqlite3.Connection, session: int, created: float, payload: bytes) -> int:
    """Store a batch, one entry per line of its payload; returns its id."""
    return _insert(db, session, created, payload, insert_payload(db, payload))


def _insert(db: sqlite3.Connection, session: int, created: float, payload: bytes, number: int) -> int:
    count = payload.count(b"\n") + 1
    row = (session, created, count, len(payload) + ROW_OVERHEAD, zlib.crc32(payload, count), number)
    return _insert_row(db, row)


def _insert_row(db: sqlite3.Connection, row: tuple[object, ...]) -> int:
    return (
        db.execute(
            "INSERT INTO batches (session, created, count, size, crc, payload) VALUES (?,?,?,?,?,?)", row
        ).lastrowid
        or 0
    )


def first(db: sqlite3.Connection, holder: str, target: str, skip: str) -> Found | None:
    """Return the oldest of an owner's least often refused batches; `skip` lists ids as JSON."""
    number = _never_refused(db, holder, target, skip) or _least_refused(db, holder, target, skip)
    if number is None:
        return None
    row = db.execute(
        "SELECT count, crc, payloads.payload FROM batches LEFT JOIN payloads ON payloads.id = batches.payload"
        " WHERE batches.id = ?",
        (number,),
    ).fetchone()
    return Found(number, _entries(*row))


def _never_refused(db: sqlite3.Connection, holder: str, target: str, skip: str) -> int | None:
    sessions = db.execute("SELECT id FROM sessions WHERE holder = ? AND target = ?", (holder, target)).fetchall()
    oldest = [
        db.execute(
            "SELECT id FROM batches WHERE session = ? AND id NOT IN (SELECT batch FROM refusals)"
            " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1",
            (session, skip),
        ).fetchone()
        for (session,) in sessions
    ]
    return min((row[0] for row in oldest if row is not None), default=None)


def _least_refused(db: sqlite3.Connection, holder: str, target: str, skip: str) -> int | None:
    row = db.execute(
        "SELECT batch FROM refusals JOIN batches ON batches.id = batch JOIN sessions ON sessions.id = session"
        " WHERE holder = ? AND target = ? AND batch NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY tries, batch LIMIT 1",
        (holder, target, skip),
    ).fetchone()
    return None if row is None else int(row[0])


def _entries(count: object, crc: object, payload: object) -> list[bytes] | None:
    if not isinstance(payload, bytes) or not isinstance(count, int) or not 0 <= count < 2**32:
        return None
    entries = payload.split(b"\n")
    return entries if len(entries) == count and zlib.crc32(payload, count) == crc else None


def count_refusal(db: sqlite3.Connection, batch: int) -> None:
    """Count one more refusal."""
    db.execute(
        "INSERT INTO refusals VALUES (?, 1) ON CONFLICT (batch) DO UPDATE SET tries = tries + 1",
        (batch,),
    )


def waiting_for(db: sqlite3.Connection, target: str) -> dict[int, int]:
    """Return the number of entries of each batch for a target, by the batches' ids."""
    rows = db.execute(
        "SELECT batches.id, TOTAL(count) FROM batches JOIN sessions ON sessions.id = session WHERE target = ?"
        " GROUP BY batches.id",
        (target,),
    )
    return {number: int(count) for number, count in rows}


def delete(db: sqlite3.Connection, batch: int) -> int:
    """Delete a batch; returns how many rows were deleted."""
    db.execute("DELETE FROM payloads WHERE id = (SELECT payload FROM batches WHERE id = ?)", (batch,))
    return db.execute("DELETE FROM batches WHERE id = ?", (batch,)).rowcount


def delete_dead(db: sqlite3.Connection, letter: int) -> int:
    """Delete a dead letter; returns how many rows were deleted."""
    db.execute("DELETE FROM payloads WHERE id = (SELECT payload FROM dead WHERE id = ?)", (letter,))
    return db.execute("DELETE FROM dead WHERE id = ?", (letter,)).rowcount


def bury_damaged(db: sqlite3.Connection, batch: int) -> None:
    """Turn a damaged batch into a dead letter."""
    db.execute(
        "INSERT INTO dead (created, target, reason, count, size, crc, payload)"
        " SELECT created, target, 'damaged on disk', count, size, crc, payload FROM batches"
        " JOIN sessions ON sessions.id = session WHERE batches.id = ?",
        (batch,),
    )
    db.execute("DELETE FROM batches WHERE id = ?", (batch,))


def revive(db: sqlite3.Connection, letter: int, target: str, now: float) -> None:
    """Turn a dead letter into a batch for the next session, and for `target` unless empty; `now` in epoch seconds."""
    row = db.execute(
        "SELECT target, dead.payload, payloads.payload FROM dead LEFT JOIN payloads ON payloads.id = dead.payload"
        " WHERE dead.id = ?",
        (letter,),
    ).fetchone()
    if row is None:
        return
    before, number, kept = row
    payload = kept if isinstance(kept, bytes) else str(kept).encode()
    if payload is not kept:
        number = insert_payload(db, payload)
    _insert(db, sessions.own(db, FREE, target or str(before)), now, payload, number)
    db.execute("DELETE FROM dead WHERE id = ?", (letter,))


def take_in(db: sqlite3.Connection, row: Foreign) -> None:
    """Store a row of another format as it is, for the next session, unless it has been stored before."""
    if not db.execute("INSERT OR IGNORE INTO imported VALUES (?)", (row.source,)).rowcount:
        return
    payload = insert_payload(db, row.payload if isinstance(row.payload, bytes) else str(row.payload).encode())
    if row.reason is None:
        session = sessions.own(db, FREE, row.target)
        _insert_row(db, (session, row.created, row.count, row.size, row.crc, payload))
        return
    db.execute(
        "INSERT INTO dead (created, target, reason, count, size, crc, payload) VALUES (?,?,?,?,?,?,?)",
        (row.created, row.target, row.reason, row.count, row.size, row.crc, payload),
    )
