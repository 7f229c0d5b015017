"""The spool: batches on disk, each leased to one process, and the entries that Akto refused for good.

One SQLite file in WAL mode with `synchronous=FULL`: a batch is in it once its transaction has ended, whatever becomes
of the process, and after a power failure as far as the disk keeps what it confirmed (SQLite's own guarantee). Several
processes may share it. No token is ever written here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akto_mirror import private
from akto_mirror.text import printable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# What a row costs beside its payload.
ROW_OVERHEAD = 256

# The part of the spool's bytes that refused entries may take.
DEAD_SHARE = 10

# Bytes that are set aside on the disk, for SQLite cannot even delete on one that is full: to be given back, batches
# that were shipped then need room for its log and index (32 KiB) and a few pages.
RESERVE = 256 * 1024

# Pages after which SQLite moves its log into the file; a long log is what fills a disk.
LOG_PAGES = 64

# Up to this size the file is checked as a whole when it is opened: a fraction of a second.
CHECK_BYTES = 64 * 1024 * 1024

VERSION = 1

# The end of the year 9999, after which no date can be told.
LAST_SECOND = 253_402_300_799

# The columns of a `DeadLetter`.
LETTER = "id, created, target, reason, count, payload"

# The longest wait for another process that writes, opens the spool or sets it aside.
LOCK_S = 2.0

SCHEMA = """
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL, target TEXT NOT NULL, owner TEXT NOT NULL,
    tries INTEGER NOT NULL, count INTEGER NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE INDEX due ON batches (owner, target, tries, id, count);
CREATE TABLE owners (owner TEXT PRIMARY KEY, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE totals (waiting INTEGER NOT NULL, dead INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER batches_in AFTER INSERT ON batches BEGIN UPDATE totals SET waiting = waiting + new.size; END;
CREATE TRIGGER batches_out AFTER DELETE ON batches BEGIN UPDATE totals SET waiting = waiting - old.size; END;
CREATE TRIGGER dead_in AFTER INSERT ON dead BEGIN UPDATE totals SET dead = dead + new.size; END;
CREATE TRIGGER dead_out AFTER DELETE ON dead BEGIN UPDATE totals SET dead = dead - old.size; END;
"""

# Result codes (https://sqlite.org/rescode.html) of trouble that may pass. Any other one, in answer to the fixed
# statements here, says that the file is not what it was.
PASSING = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    }
)


class SpoolError(Exception):
    """The disk does not do its part now; the text says how."""


class SpoolFull(SpoolError):  # noqa: N818 - a bound that is reached, no fault
    """The bound on the spool's bytes is reached."""


class NoSpaceError(SpoolError):
    """The disk itself is full."""


class SpoolDamaged(SpoolError):  # noqa: N818 - the file is, not the call
    """The file is not what was written; it should be set aside."""


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
    """Bytes of what waits and of dead letters, of all processes, and when the oldest batch was written, or None."""

    waiting: int
    dead: int
    oldest: float | None


def measure(folder: Path) -> Sizes | None:
    """Look at a spool from outside, without a lock or a change; None if there is none, or it cannot be read."""
    file = folder / private.FILE
    if not file.exists():
        return None
    try:
        with contextlib.closing(_reader(file)) as db:
            (oldest,) = db.execute("SELECT MIN(created) FROM batches").fetchone()
            waiting, dead = db.execute("SELECT waiting, dead FROM totals").fetchone()
            return Sizes(waiting, dead, None if oldest is None else _epoch(oldest))
    except (sqlite3.Error, OSError):
        return None


def newest_dead(folder: Path, count: int) -> Iterator[DeadLetter]:
    """Read the newest dead letters, newest first, from outside: without a lock or a change, one after another.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    file = folder / private.FILE
    if not file.exists():
        raise SpoolError(f"nothing is on disk: {file} does not exist")
    try:
        with contextlib.closing(_reader(file)) as db:
            rows = db.execute(f"SELECT {LETTER} FROM dead ORDER BY id DESC LIMIT ?", (count,))  # noqa: S608 - constant
            yield from map(_letter, rows)
    except (sqlite3.Error, OSError, ValueError, OverflowError, TypeError) as fault:
        raise SpoolError(f"{file}: {_told(fault)}") from fault


def _reader(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=LOCK_S)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


class Spool:
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
        self.file = folder / private.FILE
        self._reserve = folder / "reserve"
        self.target = target
        self.limit = limit
        self.lease_s = lease_s
        self._owner = owner
        self._clock = clock
        self.buried = 0
        self._touched = False
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def exists(self) -> bool:
        """Tell whether there is a file at all."""
        return self.file.exists()

    def put(self, entries: Sequence[bytes]) -> int:
        """Keep a batch, leased to this process.

        Returns:
            Its id.

        Raises:
            SpoolFull: there is no room.
            SpoolError: the disk does not take it.
        """
        payload = b"\n".join(entries)
        with self._transaction() as db:
            waiting, dead = db.execute("SELECT waiting, dead FROM totals").fetchone()
            if waiting + dead + len(payload) + ROW_OVERHEAD > self.limit:
                raise SpoolFull(f"the spool has reached its {self.limit} bytes")
            self._renew(db)
            return self._insert(db, self._owner, entries, payload)

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
        """Give a sign of life, and take over what is free or whose owner has given none for a while.

        Returns:
            The number of entries taken over.
        """
        with self._transaction() as db:
            self._renew(db)
            before = self._owned(db)
            db.execute("DELETE FROM owners WHERE expires <= ?", (self._clock(),))
            db.execute(
                "UPDATE batches SET owner = ? WHERE target = ? AND owner NOT IN (SELECT owner FROM owners)",
                (self._owner, self.target),
            )
            return self._owned(db) - before

    def owned(self, skip: Collection[int] = ()) -> int:
        """Count the entries that are leased to this process, without those of the batches to skip."""
        with self._transaction() as db:
            return self._owned(db, skip)

    def retarget(self, target: str) -> int:
        """Let this process's batches go somewhere else; returns how many there are."""
        with self._transaction() as db:
            return db.execute("UPDATE batches SET target = ? WHERE owner = ?", (target, self._owner)).rowcount

    def release(self) -> None:
        """Leave this process's batches to whoever comes next, and close the file."""
        if not self._touched:
            return
        with self._transaction() as db:
            db.execute("UPDATE batches SET owner = '' WHERE owner = ?", (self._owner,))
            db.execute("DELETE FROM owners WHERE owner = ?", (self._owner,))
        self.close()

    def tidy(self) -> None:
        """Give the disk back what an outage took of it."""
        db = self._connection()
        with self._faults():
            self.restore_reserve()
            if db.execute("PRAGMA freelist_count").fetchone()[0] > 1024:
                db.executescript("PRAGMA incremental_vacuum")  # One step frees one page; this takes all.

    def free_reserve(self) -> bool:
        """Give up the reserve, so that batches can be deleted on a full disk; False if it is used up already."""
        self.close()
        return self._drop_reserve()

    def _drop_reserve(self) -> bool:
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def restore_reserve(self) -> None:
        """Set the reserve aside again if the disk has room for it and much more."""
        if self._reserve.exists() or shutil.disk_usage(self.file.parent).free < 2 * RESERVE:
            return
        try:
            private.make_file(self._reserve)
            self._reserve.write_bytes(bytes(RESERVE))
        except (OSError, ValueError):
            self._drop_reserve()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def set_aside(self) -> Path | None:
        """Rename a damaged file, with what belongs to it, so that a new one can begin.

        Returns:
            The new name; None if another process did it before.

        Raises:
            SpoolError: it cannot be renamed.
        """
        self.close()
        if not self.exists():
            return None
        try:
            with _locked(self.file.parent):
                known = self._identity
                return self._rename() if known and known == _identity(self.file) else None
        except OSError as fault:
            raise SpoolError(f"cannot set the damaged spool aside: {_told(fault)}") from fault

    def waiting(self) -> list[Share]:
        """List what waits, by target."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT target, COUNT(*), SUM(count), SUM(size), MIN(created) FROM batches GROUP BY target"
            )
            return [Share(to, batches, count, size, _epoch(oldest)) for to, batches, count, size, oldest in rows]

    def dead_letters(self) -> list[DeadLetter]:
        """List the entries that were refused for good, oldest first."""
        with self._transaction() as db:
            rows = db.execute(f"SELECT {LETTER} FROM dead ORDER BY id")  # noqa: S608 - constant
            return [_letter(row) for row in rows]

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
        own_target, payload = db.execute("SELECT target, payload FROM dead WHERE id = ?", (number,)).fetchone()
        self._insert(db, "", payload.split(b"\n"), payload, target or own_target)
        db.execute("DELETE FROM dead WHERE id = ?", (number,))

    def drop_dead(self, numbers: Collection[int] | None = None) -> int:
        """Delete dead letters, all of them or those named; returns how many."""
        with self._transaction() as db:
            if numbers is None:
                return db.execute("DELETE FROM dead").rowcount
            return sum(db.execute("DELETE FROM dead WHERE id = ?", (number,)).rowcount for number in numbers)

    def drop_waiting(self, target: str) -> int:
        """Delete what waits for a target; returns how many entries."""
        with self._transaction() as db:
            found = db.execute("SELECT COALESCE(SUM(count), 0) FROM batches WHERE target = ?", (target,)).fetchone()
            db.execute("DELETE FROM batches WHERE target = ?", (target,))
            return int(found[0])

    def redirect(self, start: str, end: str) -> int:
        """Let what waits for one target go to another, sent by whoever comes next; returns how many entries."""
        with self._transaction() as db:
            found = db.execute("SELECT COALESCE(SUM(count), 0) FROM batches WHERE target = ?", (start,)).fetchone()
            db.execute("UPDATE batches SET target = ?, owner = '' WHERE target = ?", (end, start))
            return int(found[0])

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

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._connection()
        with self._faults():
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what SQLite and the system raise into a `SpoolError`; the file is opened anew after it."""
        try:
            yield
        except sqlite3.Error as fault:
            self.close()
            if self._is_damage(fault):
                raise SpoolDamaged(f"{self.file} is damaged: {_told(fault)}") from fault
            if self._is_out_of_space(fault):
                raise NoSpaceError(f"{self.file}: {_told(fault)}") from fault
            raise SpoolError(f"{self.file}: {_told(fault)}") from fault
        except OSError as fault:
            self.close()
            kind = NoSpaceError if fault.errno == errno.ENOSPC else SpoolError
            raise kind(f"{self.file}: {_told(fault)}") from fault
        except (ValueError, OverflowError, TypeError) as fault:
            self.close()
            raise SpoolDamaged(f"{self.file} is damaged: {_told(fault)}") from fault

    def _is_damage(self, fault: sqlite3.Error) -> bool:
        code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_READONLY:
            return self._is_writable()
        return code not in PASSING

    def _is_out_of_space(self, fault: sqlite3.Error) -> bool:
        """Tell a full disk, also where SQLite speaks of an error of its log's index."""
        if fault.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
            return True
        try:
            return shutil.disk_usage(self.file.parent).free < RESERVE // 2
        except OSError:
            return False

    def _is_writable(self) -> bool:
        """Tell whether the system would let the file be written: SQLite calls a damaged header read-only, too."""
        try:
            read_only = hasattr(os, "statvfs") and os.statvfs(self.file).f_flag & os.ST_RDONLY
        except OSError:
            return False
        return not read_only and os.access(self.file, os.W_OK) and os.access(self.file.parent, os.W_OK)

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None and self._identity != _identity(self.file):
            self.close()
            self._identity = None
            raise SpoolDamaged(f"{self.file} was set aside or removed by somebody else")
        if self._db is None:
            self._open()
        assert self._db is not None  # noqa: S101 - for the type checker
        return self._db

    def _open(self) -> None:
        try:
            private.check_folder(self.file.parent)
            private.check_file(self.file)
            private.make_folder(self.file.parent)
            private.make_file(self.file)
        except ValueError as fault:
            raise SpoolError(f"{self.file.parent}: {fault}") from fault
        except OSError as fault:
            raise (NoSpaceError if fault.errno == errno.ENOSPC else SpoolError)(_told(fault)) from fault
        self._identity = _identity(self.file)
        self._touched = True
        with self._faults():
            self._db = sqlite3.connect(self.file, timeout=LOCK_S, isolation_level=None, check_same_thread=False)
            self._db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            self._prepare(self._db)
            self.restore_reserve()

    def _prepare(self, db: sqlite3.Connection) -> None:
        with _locked(self.file.parent):
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_size_limit = 4194304")
            db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0 and not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")
            elif version != VERSION:
                raise ValueError(f"version {version} is unknown")
            elif self.file.stat().st_size <= CHECK_BYTES:
                self._check(db)

    def _check(self, db: sqlite3.Connection) -> None:
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise ValueError(str(verdict))
        with self._transaction_at_open(db):
            db.execute("UPDATE totals SET waiting = (SELECT COALESCE(SUM(size), 0) FROM batches)")
            db.execute("UPDATE totals SET dead = (SELECT COALESCE(SUM(size), 0) FROM dead)")

    @contextmanager
    def _transaction_at_open(self, db: sqlite3.Connection) -> Iterator[None]:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("COMMIT" if db.in_transaction else "SELECT 1")

    def _rename(self) -> Path:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock()))
        aside = self.file.with_name(f"damaged-{stamp}-{os.getpid()}-{self.file.stat().st_ino}.db")
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.file}{end}").rename(f"{aside}{end}")
        self._identity = None
        return aside


def _letter(row: Sequence[Any]) -> DeadLetter:
    """Read a row as it should be, whatever a damaged or tampered file holds."""
    number, created, target, reason, count, payload = row
    raw = payload if isinstance(payload, bytes) else str(payload).encode()
    return DeadLetter(number, _epoch(created), str(target), str(reason), count, raw)


def _epoch(seconds: object) -> float:
    """Return a time that can be told; 0 for what is none."""
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds <= LAST_SECOND else 0.0


def _marks(values: Collection[int]) -> str:
    return ",".join("?" * len(values))


def _entries(count: object, crc: object, payload: object) -> list[bytes] | None:
    """Return a batch's entries, or None if they are not what was written."""
    if not isinstance(payload, bytes) or not isinstance(count, int) or not 0 <= count < 2**32:
        return None
    entries = payload.split(b"\n")
    return entries if len(entries) == count and zlib.crc32(payload, count) == crc else None


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from opening the spool or setting it aside at the same time."""
    if fcntl is None:
        yield
        return
    file = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        _lock(file, time.monotonic() + LOCK_S)
        yield
    finally:
        os.close(file)


def _lock(file: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _told(fault: BaseException) -> str:
    return printable(f"{type(fault).__name__}: {fault}")
