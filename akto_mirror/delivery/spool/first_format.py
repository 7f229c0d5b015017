"""Moves entries from the spool's first format into the current one, each exactly once; the file stays for a rollback.

A process of that version may still use the same folder. It keeps the file open while it has entries in it, so an
exclusive lock, which requires that all others have closed the file, shows whether such a process runs. With that lock
SQLite also maps no index of its log into memory, which would fail on a full disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from akto_mirror.delivery.spool import errors, lock
from akto_mirror.delivery.spool.errors import NoSpaceError, NothingError, SpoolBusy, SpoolDamaged, SpoolError
from akto_mirror.delivery.spool.leases import Watch
from akto_mirror.delivery.spool.rows import Foreign
from akto_mirror.delivery.spool.schema import FIRST, has_tables, read_text
from akto_mirror.delivery.spool.view import Share, epoch

VERSION = 1

# Seconds to wait for a process that has the file open: it may keep it open for hours.
BUSY_S = 0.1

# Bytes of payloads that are moved in one step, and pages that are returned to the disk in one.
STEP_BYTES = 8 * 1024 * 1024
STEP_PAGES = 4096

# The file that that version kept as a reserve for a full disk.
RESERVE = "reserve"

_TABLES = {"batches": "NULL", "dead": "reason"}

Store = Callable[[Sequence[Foreign]], None]


class View(NamedTuple):
    """The contents of the file: waiting entries by target, and the number and bytes of dead letters."""

    shares: list[Share]
    dead: int
    dead_bytes: int


class FirstFormat:
    """The file of the first format in a folder.

    Args:
        folder: the spool's folder.
        lease_s: seconds without a heartbeat after which its writers count as dead.
        clock: epoch seconds, for the name of a damaged file.
        monotonic: seconds of the monotonic clock.

    Attributes:
        notes: lines to log; the caller logs and removes them.
    """

    def __init__(
        self, folder: Path, lease_s: float, clock: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.file = folder / FIRST
        self.notes: list[str] = []
        self._clock = clock
        self._monotonic = monotonic
        self._watch = Watch(lease_s)
        self._empty: object = None

    def is_news(self) -> bool:
        """Return whether there is a file that was not yet found empty in its current state."""
        looks = self._looks()
        return looks is not None and looks != self._empty

    def _looks(self) -> object:
        try:
            found = self.file.lstat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode) or (hasattr(os, "geteuid") and found.st_uid != os.geteuid()):
            return None
        log = Path(f"{self.file}-wal")
        with contextlib.suppress(OSError):
            return found.st_ino, found.st_size, found.st_mtime_ns, log.stat().st_size, log.stat().st_mtime_ns
        return found.st_ino, found.st_size, found.st_mtime_ns

    def move(self, store: Store) -> bool:
        """Move entries that no live process owns, up to the size of one step; returns whether more are left.

        Args:
            store: stores rows, none of them twice; called while no other process can open the file.

        Raises:
            SpoolError: raised by `store`.
        """
        is_empty = more = False
        with self._noting(), self._opened() as db:
            moved = _some(db, self._living(db))
            store(moved)
            _delete(db, moved)
            is_empty = not moved and not _holds_more(db)
            more = bool(moved) or (is_empty and _shrink(db))
        if is_empty and not more:
            self._empty = self._looks()
            self._drop_reserve()
        return more

    def view(self) -> View | None:
        """Read the contents without changing anything; None if there are none, or if they cannot be read now."""
        with self._noting(), self._opened() as db:
            rows = db.execute(
                "SELECT target, COUNT(*), TOTAL(count), TOTAL(size), MIN(created) FROM batches GROUP BY target"
            )
            shares = [Share(to, batches, int(count), int(size), epoch(at)) for to, batches, count, size, at in rows]
            count, size = db.execute("SELECT COUNT(*), TOTAL(LENGTH(payload)) FROM dead").fetchone()
            return View(shares, int(count), int(size))
        return None

    def _living(self, db: sqlite3.Connection) -> set[str]:
        signs = dict(db.execute("SELECT owner, TOTAL(expires) FROM owners GROUP BY owner").fetchall())
        return set(signs) - self._watch.dead(signs, self._monotonic())

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file exclusively."""
        uri = f"{self.file.as_uri()}?mode=rw"
        with contextlib.closing(
            sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        ) as db:
            db.text_factory = read_text
            for pragma in ("locking_mode = EXCLUSIVE", "temp_store = MEMORY", "secure_delete = OFF"):
                db.execute(f"PRAGMA {pragma}").fetchall()
            db.execute("BEGIN EXCLUSIVE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise _NewerError
            if not has_tables(db):
                raise NothingError(f"{self.file} has no tables")
            if version != VERSION:
                raise ValueError(f"version {version} is unknown")
            db.execute("COMMIT")
            yield db

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note an error of the file; the current one can be used nevertheless."""
        try:
            yield
        except (_NewerError, NothingError) as found:
            self._empty = self._looks()
            if isinstance(found, _NewerError):
                self.notes.append(f"{self.file} is of a newer version, and is left alone")
        except sqlite3.Error as error:
            self._be_in_trouble(errors.of_sqlite(error, self.file))
        except OSError as error:
            self._be_in_trouble(errors.of_system(error, f"{self.file}: "))
        except (ValueError, OverflowError, TypeError) as error:
            self._be_in_trouble(errors.of_value(error, self.file))

    def _be_in_trouble(self, error: SpoolError) -> None:
        if isinstance(error, SpoolDamaged):
            self._set_aside(error)
        elif isinstance(error, NoSpaceError):
            self._drop_reserve()
        elif not isinstance(error, SpoolBusy):
            self.notes.append(str(error))

    def _set_aside(self, error: SpoolDamaged) -> None:
        try:
            with lock.locked(self.file.parent):
                aside = lock.rename_damaged(self.file, self._clock())
        except OSError as failed:
            self.notes.append(f"{error}; it cannot be set aside: {errors.in_words(failed)}")
        else:
            self.notes.append(f"{error}; it was renamed to {aside}")

    def _drop_reserve(self) -> None:
        with contextlib.suppress(OSError):
            (self.file.parent / RESERVE).unlink()


class _NewerError(Exception):
    """The file belongs to a newer version."""


def _some(db: sqlite3.Connection, living: set[str]) -> list[Foreign]:
    """Read entries that no process owns, up to the size of a step; the oldest batch first, and dead letters last."""
    rows: list[Foreign] = []
    size = 0
    for table, reason in _TABLES.items():
        names = f"id, created, target, {reason}, count, size, crc, payload"
        owner = "owner" if table == "batches" else "''"
        query = f"SELECT {owner}, {names} FROM {table} ORDER BY id"  # noqa: S608 - constants
        with contextlib.closing(db.execute(query)) as found:
            for holder, number, created, target, why, *rest in found:
                if holder in living:
                    continue
                source = f"{table} {number} {created} {rest[2]}"
                rows.append(Foreign(source, created, str(target), None if owner == "owner" else str(why), *rest))
                size += len(rest[-1]) if isinstance(rest[-1], bytes) else 0
                if size >= STEP_BYTES:
                    return rows
    return rows


def _delete(db: sqlite3.Connection, rows: Sequence[Foreign]) -> None:
    db.execute("BEGIN")
    for row in rows:
        table, number = row.source.split()[:2]
        db.execute(f"DELETE FROM {table} WHERE id = ?", (int(number),))  # noqa: S608 - one of the tables
    db.execute("COMMIT")


def _holds_more(db: sqlite3.Connection) -> bool:
    return any(db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in _TABLES)  # noqa: S608 - constants


def _shrink(db: sqlite3.Connection) -> bool:
    """Return free pages to the disk; returns whether there are more."""
    before = db.execute("PRAGMA freelist_count").fetchone()[0]
    db.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
    return bool(0 < db.execute("PRAGMA freelist_count").fetchone()[0] < before)
