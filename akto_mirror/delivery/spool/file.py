"""The spool's file: one SQLite database that is opened, checked, locked and, when it is damaged, set aside.

WAL mode with `synchronous=FULL`: what a transaction wrote is there once it has ended, whatever becomes of the process,
and after a power failure as far as the disk keeps what it confirmed (SQLite's own guarantee).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from akto_mirror import private_files
from akto_mirror.escaping import printable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Bytes that are set aside on the disk, for SQLite cannot even delete on one that is full: to be given back, batches
# that were shipped then need room for its log and index (32 KiB) and a few pages.
RESERVE = 256 * 1024

# Pages after which SQLite moves its log into the file; a long log is what fills a disk.
LOG_PAGES = 64

# Up to this size the file is checked as a whole when it is opened: a fraction of a second.
CHECK_BYTES = 64 * 1024 * 1024

VERSION = 1

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


class SpoolBusy(SpoolError):  # noqa: N818 - the lock of another process, no fault
    """Another process keeps the file locked for longer than `LOCK_S`."""


class SpoolFull(SpoolError):  # noqa: N818 - a bound that is reached, no fault
    """The bound on the spool's bytes is reached."""


class NoSpaceError(SpoolError):
    """The disk itself is full."""


class SpoolDamaged(SpoolError):  # noqa: N818 - the file is, not the call
    """The file is not what was written; it should be set aside."""


class SpoolFile:
    """The file and a connection to it, which opens with the first use and again after each fault.

    Args:
        folder: where the file is; it is made if it is missing.
        clock: epoch seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.file = folder / private_files.FILE
        self._reserve = folder / "reserve"
        self._clock = clock
        self._touched = False
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def exists(self) -> bool:
        """Tell whether there is a file at all; one that the system does not let be looked at is none."""
        try:
            return self.file.exists()
        except OSError:
            return False

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
            private_files.make_file(self._reserve)
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
            raise _kind(fault)(f"cannot set the damaged spool aside: {told(fault)}") from fault

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
                raise SpoolDamaged(f"{self.file} is damaged: {told(fault)}") from fault
            raise self._kind(fault)(f"{self.file}: {told(fault)}") from fault
        except OSError as fault:
            self.close()
            raise _kind(fault)(f"{self.file}: {told(fault)}") from fault
        except (ValueError, OverflowError, TypeError) as fault:
            self.close()
            raise SpoolDamaged(f"{self.file} is damaged: {told(fault)}") from fault

    def _kind(self, fault: sqlite3.Error) -> type[SpoolError]:
        if fault.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return SpoolBusy
        return NoSpaceError if self._is_out_of_space(fault) else SpoolError

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
            private_files.check_folder(self.file.parent)
            private_files.check_file(self.file)
            private_files.make_folder(self.file.parent)
            private_files.make_file(self.file)
        except ValueError as fault:
            raise SpoolError(f"{self.file.parent}: {fault}") from fault
        except OSError as fault:
            raise _kind(fault)(told(fault)) from fault
        self._identity = _identity(self.file)
        self._touched = True
        with self._faults():
            self._db = sqlite3.connect(self.file, timeout=LOCK_S, isolation_level=None, check_same_thread=False)
            self._db.text_factory = read_text
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


def _kind(fault: OSError) -> type[SpoolError]:
    if isinstance(fault, BlockingIOError):
        return SpoolBusy
    return NoSpaceError if fault.errno == errno.ENOSPC else SpoolError


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


def told(fault: BaseException) -> str:
    """Tell a fault in one printable line."""
    return printable(f"{type(fault).__name__}: {fault}")


def read_text(raw: bytes) -> str:
    """Read a text as it should be, whatever a damaged file holds."""
    return raw.decode("utf-8", "replace")
