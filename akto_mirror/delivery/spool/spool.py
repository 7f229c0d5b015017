"""The spool: batches on disk, each leased to one process, and the entries that Akto refused for good.

Several processes may share it. No token is ever written here.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akto_mirror.delivery.spool.file import SpoolFile, SpoolFull
from akto_mirror.delivery.spool.view import LETTER, DeadLetter, Share, epoch, read_letter

# What a row costs beside its payload.
ROW_OVERHEAD = 256

# The part of the spool's bytes that refused entries may take.
DEAD_SHARE = 10

# So many leases from now on none can end, not even one of a process whose leases are somewhat longer.
LATE_LEASES = 2

# Bytes of batches that are changed in one step, which then is short enough for other processes to wait for, and the
# seconds in which they come to write before the next one.
STEP_BYTES = 8 * 1024 * 1024
PAUSE_S = 0.05

# What is to be taken over, found in the index alone: what nobody has a lease of, and what is our own but for another
# target.
FREE = """
SELECT id FROM batches WHERE target = :target AND owner NOT IN (SELECT owner FROM owners)
UNION ALL SELECT id FROM batches WHERE owner = :owner AND target <> :target
"""

WAITING = "SELECT id FROM batches WHERE target = :target AND id > :last ORDER BY id"

# Pages that one step of tidying gives back: a mebibyte, which fits SQLite's cache and so takes milliseconds. It is not
# worth while to begin before so many are free.
STEP_PAGES = 256
SPARE_PAGES = 1024

_spools = itertools.count()


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch on disk."""

    id: int
    entries: list[bytes]


@dataclass(frozen=True, slots=True)
class Dead:
    """An entry that was refused for good, and the answer to it."""

    entry: bytes
    reason: str


class Spool(SpoolFile):
    """One process's view of the spool; used by one thread at a time.

    Args:
        folder: where the file is; it is made if it is missing.
        target: where the batches are to go; those of other targets are left alone.
        limit: bytes that all batches and dead letters may take together, dead letters a tenth of them.
        owner: a name that no other process has.
        lease_s: after so many seconds without a sign of life others take this process's batches over.
        clock: epoch seconds.

    Attributes:
        buried: batches that turned out to be damaged and were moved to the dead letters.
        unfinished: whether the last one of `adopt` and `tidy` may have left something for another step.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own, given by name
        self,
        folder: Path,
        *,
        target: str,
        limit: int,
        owner: str,
        lease_s: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(folder, clock)
        self.target = target
        self.limit = limit
        self.lease_s = lease_s
        # Also of two spools in one process the second has to take over what the first has released.
        self._owner = f"{owner}/{next(_spools)}"
        self.buried = 0
        self.unfinished = False
        self._tidying = False

    def put(self, entries: Sequence[bytes]) -> int:
        """Keep a batch, leased to this process.

        Returns:
            Its id.

        Raises:
            SpoolFull: there is no room.
            SpoolError: the disk does not take it.
        """
        return self.put_all([entries])[0]

    def put_all(self, batches: Sequence[Sequence[bytes]]) -> list[int]:
        """Keep batches as `put` does, all or none of them, which takes the disk no longer than one; returns their ids.

        Raises:
            SpoolFull: there is no room for all of them.
            SpoolError: the disk does not take them.
        """
        payloads = [b"\n".join(entries) for entries in batches]
        with self._transaction() as db:
            waiting, dead = db.execute("SELECT waiting, dead FROM totals").fetchone()
            if waiting + dead + sum(map(len, payloads)) + ROW_OVERHEAD * len(payloads) > self.limit:
                raise SpoolFull(f"the spool has reached its {self.limit} bytes")
            self._renew(db)
            return [self._insert(db, self._owner, *each) for each in zip(batches, payloads, strict=True)]

    def next(self, skip: Collection[int]) -> Stored | None:
        """Return this process's batch that was refused least often, and of these the oldest.

        A batch that was damaged on disk is moved to the dead letters as it is.

        Args:
            skip: ids to leave out.
        """
        with self._transaction() as db:
            self._renew(db)
            while (row := self._first(db, skip)) is not None:
                number, count, crc, payload = row
                entries = _entries(count, crc, payload)
                if entries is not None:
                    return Stored(number, entries)
                self._bury_damaged(db, number)
                self.buried += 1
        return None

    def blame(self, number: int) -> None:
        """Let a batch that was refused wait until the others have been tried."""
        with self._transaction() as db:
            db.execute("UPDATE batches SET tries = tries + 1 WHERE id = ? AND owner = ?", (number, self._owner))

    def remove(self, numbers: Collection[int]) -> int:
        """Forget batches that were shipped, whoever has them now; returns how many were there."""
        with self._transaction() as db:
            return sum(db.execute("DELETE FROM batches WHERE id = ?", (number,)).rowcount for number in numbers)

    def settle(self, number: int | None, rest: Sequence[bytes], dead: Sequence[Dead]) -> int | None:
        """Replace a batch by what of it is still to be sent, and keep what of it was refused for good.

        Args:
            number: the batch; None if it is not on disk.
            rest: entries still to be sent.
            dead: entries refused for good.

        Returns:
            How many of the refused found room, the first ones; None if somebody else has taken the batch over.
        """
        with self._transaction() as db:
            if number is not None and not self._delete_own(db, number):
                return None
            if rest:
                self._insert(db, self._owner, rest, b"\n".join(rest))
            return sum(1 for letter in dead if self._bury(db, letter))

    def adopt(self) -> int:
        """Give a sign of life, and take over, a step at a time, what is free or whose owner has given none for a while.

        What is this process's already, but for another target, goes to its present one, too.

        Returns:
            The number of entries taken over.
        """
        with self._transaction() as db:
            self._renew(db)
            self._end_leases(db)
            before = self._owned(db)
            step, self.unfinished = _step(db, FREE, {"owner": self._owner, "target": self.target})
            mine = [(self._owner, self.target, number) for number in step]
            db.executemany("UPDATE batches SET owner = ?, target = ? WHERE id = ?", mine)
            return self._owned(db) - before

    def owned(self, skip: Collection[int] = ()) -> int:
        """Count the entries that are leased to this process, without those of the batches to skip."""
        with self._transaction() as db:
            return self._owned(db, skip)

    def release(self) -> None:
        """Leave this process's batches to whoever comes next, and close the file."""
        if not self._touched:
            return
        with self._transaction() as db:
            db.execute("DELETE FROM owners WHERE owner = ?", (self._owner,))
        self.close()

    def tidy(self) -> None:
        """Give the disk back what an outage took of it, a step at a time."""
        db = self._connection()
        with self._faults():
            self.restore_reserve()
            before = _free_pages(db)
            if before > SPARE_PAGES or self._tidying:
                # One step of the statement frees one page; this takes all of them.
                db.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
            self.unfinished = self._tidying = 0 < _free_pages(db) < before

    def waiting(self) -> list[Share]:
        """List what waits, by target."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT target, COUNT(*), SUM(count), SUM(size), MIN(created) FROM batches GROUP BY target"
            )
            return [Share(to, batches, count, size, epoch(oldest)) for to, batches, count, size, oldest in rows]

    def dead_letters(self) -> list[DeadLetter]:
        """List the entries that were refused for good, oldest first."""
        with self._transaction() as db:
            rows = db.execute(f"SELECT {LETTER} FROM dead ORDER BY id")  # noqa: S608 - constant
            return [read_letter(row) for row in rows]

    def dead_targets(self) -> dict[int, str]:
        """Tell whom the dead letters were for, by their ids."""
        with self._transaction() as db:
            return dict(db.execute("SELECT id, target FROM dead ORDER BY id").fetchall())

    def revive(self, numbers: Collection[int] | None = None, target: str = "") -> int:
        """Let dead letters be sent again, all of them or those named; returns how many."""
        with self._transaction() as db:
            dead = [number for (number,) in db.execute("SELECT id FROM dead ORDER BY id").fetchall()]
            chosen = [number for number in dead if numbers is None or number in numbers]
            for number in chosen:
                self._revive(db, number, target)
        return len(chosen)

    def _revive(self, db: sqlite3.Connection, number: int, target: str) -> None:
        row = db.execute(f"SELECT {LETTER} FROM dead WHERE id = ?", (number,)).fetchone()  # noqa: S608 - constant
        dead = read_letter(row)
        self._insert(db, "", dead.payload.split(b"\n"), dead.payload, target or dead.target)
        db.execute("DELETE FROM dead WHERE id = ?", (number,))

    def drop_dead(self, numbers: Collection[int] | None = None) -> int:
        """Delete dead letters, all of them or those named; returns how many."""
        with self._transaction() as db:
            if numbers is None:
                return db.execute("DELETE FROM dead").rowcount
            return sum(db.execute("DELETE FROM dead WHERE id = ?", (number,)).rowcount for number in numbers)

    def drop_waiting(self, target: str) -> int:
        """Delete what waits for a target; returns how many entries."""
        return self._change_waiting(target, "DELETE FROM batches WHERE id = ?")

    def redirect(self, start: str, end: str) -> int:
        """Let what waits for one target go to another, sent by whoever comes next; returns how many entries."""
        return self._change_waiting(start, "UPDATE batches SET target = ?, owner = '' WHERE id = ?", end)

    def _change_waiting(self, target: str, change: str, *values: str) -> int:
        """Change what waits for a target a step at a time, and let other processes write between two of them."""
        entries = last = 0
        while True:
            with self._transaction() as db:
                step, is_more = _step(db, WAITING, {"target": target, "last": last})
                entries += sum(_number(db, "count", number) for number in step)
                db.executemany(change, [(*values, number) for number in step])
            if not is_more:
                return entries
            last = step[-1]
            time.sleep(PAUSE_S)

    def _owned(self, db: sqlite3.Connection, skip: Collection[int] = ()) -> int:
        row = db.execute(
            f"SELECT COALESCE(SUM(count), 0) FROM batches WHERE owner = ? AND id NOT IN ({_marks(skip)})",  # noqa: S608 - marks
            (self._owner, *skip),
        ).fetchone()
        return int(row[0])

    def _delete_own(self, db: sqlite3.Connection, number: int) -> bool:
        return db.execute("DELETE FROM batches WHERE id = ? AND owner = ?", (number, self._owner)).rowcount > 0

    def _renew(self, db: sqlite3.Connection) -> None:
        """Extend the lease where a third of it is gone, so that a busy process does not write at every step."""
        now = self._clock()
        db.execute(
            "INSERT INTO owners VALUES (:owner, :until) ON CONFLICT (owner) DO UPDATE SET expires = :until"
            " WHERE expires < :soon OR expires > :until",
            {"owner": self._owner, "until": now + self.lease_s, "soon": now + self.lease_s * 2 / 3},
        )

    def _end_leases(self, db: sqlite3.Connection) -> None:
        """Forget who has given no sign of life for a lease.

        A lease that ends later than any can was given before the clock was set back: it counts from now on, so that
        its owner, if it lives, has the time to say so.
        """
        now = self._clock()
        db.execute("DELETE FROM owners WHERE expires <= ?", (now,))
        db.execute(
            "UPDATE owners SET expires = ? WHERE expires > ?", (now + self.lease_s, now + LATE_LEASES * self.lease_s)
        )

    def _first(self, db: sqlite3.Connection, skip: Collection[int]) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = db.execute(
            "SELECT id, count, crc, payload FROM batches WHERE owner = ? AND target = ?"  # noqa: S608 - question marks
            f" AND id NOT IN ({_marks(skip)}) ORDER BY tries, id LIMIT 1",
            (self._owner, self.target, *skip),
        ).fetchone()
        return row

    def _insert(
        self, db: sqlite3.Connection, owner: str, entries: Sequence[bytes], payload: bytes, target: str = ""
    ) -> int:
        count = len(entries)
        done = db.execute(
            "INSERT INTO batches (created, target, owner, tries, count, size, crc, payload) VALUES (?,?,?,0,?,?,?,?)",
            (
                self._clock(),
                target or self.target,
                owner,
                count,
                len(payload) + ROW_OVERHEAD,
                zlib.crc32(payload, count),
                payload,
            ),
        )
        return done.lastrowid or 0

    def _bury(self, db: sqlite3.Connection, letter: Dead) -> bool:
        size = len(letter.entry) + len(letter.reason) + ROW_OVERHEAD
        (dead,) = db.execute("SELECT dead FROM totals").fetchone()
        if dead + size > self.limit // DEAD_SHARE:
            return False
        db.execute(
            "INSERT INTO dead (created, target, reason, count, size, crc, payload) VALUES (?,?,?,1,?,?,?)",
            (self._clock(), self.target, letter.reason, size, zlib.crc32(letter.entry, 1), letter.entry),
        )
        return True

    def _bury_damaged(self, db: sqlite3.Connection, number: int) -> None:
        db.execute(
            "INSERT INTO dead (created, target, reason, count, size, crc, payload)"
            " SELECT created, target, 'damaged on disk', count, size, crc, payload FROM batches WHERE id = ?",
            (number,),
        )
        db.execute("DELETE FROM batches WHERE id = ?", (number,))


def _step(db: sqlite3.Connection, query: str, values: Mapping[str, object]) -> tuple[list[int], bool]:
    """Choose as many of the batches as may be changed at once, for SQLite writes the whole of each anew.

    Returns:
        Their ids, and whether there may be more.
    """
    step, size = [], 0
    with contextlib.closing(db.execute(query, values)) as found:
        for (number,) in found:
            step.append(number)
            size += _number(db, "LENGTH(payload)", number)
            if size >= STEP_BYTES:
                return step, True
    return step, False


def _number(db: sqlite3.Connection, what: str, batch: int) -> int:
    """Read a number of a batch, 0 where a damaged file holds none."""
    row = db.execute(f"SELECT TOTAL({what}) FROM batches WHERE id = ?", (batch,)).fetchone()  # noqa: S608 - constants
    return int(row[0])


def _free_pages(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA freelist_count").fetchone()[0])


def _marks(values: Collection[int]) -> str:
    return ",".join("?" * len(values))


def _entries(count: object, crc: object, payload: object) -> list[bytes] | None:
    """Return a batch's entries, or None if they are not what was written."""
    if not isinstance(payload, bytes) or not isinstance(count, int) or not 0 <= count < 2**32:
        return None
    entries = payload.split(b"\n")
    return entries if len(entries) == count and zlib.crc32(payload, count) == crc else None
