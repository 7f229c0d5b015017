"""The spool's file: an SQLite database that is opened, checked, locked and, if damaged, set aside.

It uses a rollback journal with `synchronous=FULL`: a committed transaction survives any end of the process, and a power
failure as far as the disk keeps what it confirmed (SQLite's own guarantee).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from akto_mirror import private_files
from akto_mirror.delivery.spool import errors, journal, lock, schema
from akto_mirror.delivery.spool.errors import NoSpaceError, SpoolBusy, SpoolDamaged, SpoolError
from akto_mirror.delivery.spool.schema import JOURNAL, SCHEMA, VERSION, has_tables, read_text

# Up to this size the whole file is checked when it is opened, which takes a fraction of a second.
CHECK_BYTES = 64 * 1024 * 1024


class SpoolFile:
    """The file and a connection to it, which is opened on first use and again after an error.

    Args:
        folder: the file's folder; it is created if it is missing.
        clock: epoch seconds.

    Attributes:
        file: this version's file; it has another name if a newer version uses the usual one.
        newer: files of newer versions, which are left alone.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.folder = folder
        self.file = folder / next(schema.names())
        self.newer: list[Path] = []
        self._clock = clock
        self._touched = False
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def exists(self) -> bool:
        """Return whether there is a file; one that cannot be accessed does not count."""
        try:
            return self.file.exists()
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def set_aside(self) -> Path | None:
        """Rename a damaged file and its journal, so that a new one can be created.

        Returns:
            The new name; None if another process has already renamed it.

        Raises:
            SpoolError: it cannot be renamed.
        """
        self.close()
        if not self.exists():
            return None
        try:
            with lock.locked(self.folder):
                known, self._identity = self._identity, None
                is_it = known and known == lock.identity(self.file)
                return lock.rename_damaged(self.file, self._clock()) if is_it else None
        except OSError as error:
            raise errors.of_system(error, "cannot set the damaged spool aside: ") from error

    @property
    def _journal(self) -> Path:
        return Path(f"{self.file}{JOURNAL}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Change the file in one transaction."""
        with self._statements("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Read the file in one transaction; meanwhile other processes cannot commit."""
        with self._statements("BEGIN") as db:
            yield db

    @contextmanager
    def _statements(self, begin: str) -> Iterator[sqlite3.Connection]:
        db = self._connection()
        with self._errors():
            db.execute(begin)
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of SQLite and the operating system into a `SpoolError`; most of them cause a reopening."""
        try:
            yield
        except sqlite3.Error as error:
            raised = errors.of_sqlite(error, self.file)
            self._close_after(raised)
            raise raised from error
        except OSError as error:
            self.close()
            raise errors.of_system(error, f"{self.file}: ") from error
        except (ValueError, OverflowError, TypeError) as error:
            self.close()
            raise errors.of_value(error, self.file) from error

    def _close_after(self, error: SpoolError) -> None:
        """Close the connection, unless it is intact: opening it again would check the whole file."""
        if not isinstance(error, SpoolBusy | NoSpaceError) or (self._db is not None and self._db.in_transaction):
            self.close()

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None and self._identity != lock.identity(self.file):
            self.close()
            self._identity = None
            raise SpoolDamaged(f"{self.file} was set aside or removed by another process")
        if self._db is None:
            self._open()
        assert self._db is not None  # noqa: S101 - for the type checker
        return self._db

    def _open(self) -> None:
        try:
            private_files.check_folder(self.folder)
            private_files.check_file(self.file)
            private_files.make_folder(self.folder)
            self.file = schema.own_file(self.folder, lock.LOCK_S)
            self.newer = schema.newer_files(self.folder, self.file)
            private_files.make_file(self.file)
        except ValueError as error:
            raise SpoolError(f"{self.folder}: {error}") from error
        except OSError as error:
            raise errors.of_system(error, "") from error
        self._identity = lock.identity(self.file)
        self._touched = True
        with self._errors():
            self._db = sqlite3.connect(self.file, timeout=lock.OPEN_S, isolation_level=None, check_same_thread=False)
            self._db.text_factory = read_text
            try:
                with lock.locked(self.folder):
                    self._prepare(self._db)
            except BaseException:
                self.close()
                raise

    def _prepare(self, db: sqlite3.Connection) -> None:
        with journal.configuring(db):
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0 and not has_tables(db):
                db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
            elif version != VERSION:
                raise ValueError(f"version {version} is unknown")
            is_small = self.file.stat().st_size <= CHECK_BYTES
            if is_small:
                _check(db)
        if is_small:
            _correct_totals(db)
        with contextlib.suppress(OSError):
            self._fill_journal(db)
        db.execute(f"PRAGMA busy_timeout = {1000 * lock.LOCK_S:.0f}")

    def _fill_journal(self, db: sqlite3.Connection) -> None:
        """Make sure that the journal has its space, without which nothing may be stored.

        Raises:
            OSError: the disk is full.
        """
        if not journal.is_filled(self._journal):
            journal.fill(db, self._journal)


def _check(db: sqlite3.Connection) -> None:
    (report,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if report != "ok":
        raise ValueError(str(report))


def _correct_totals(db: sqlite3.Connection) -> None:
    sums = "(SELECT COALESCE(SUM(size), 0) FROM batches)", "(SELECT COALESCE(SUM(size), 0) FROM dead)"
    condition = f"(waiting, dead) <> ({sums[0]}, {sums[1]})"
    if db.execute(f"SELECT 1 FROM totals WHERE {condition}").fetchone():  # noqa: S608 - constants
        db.execute(f"UPDATE totals SET waiting = {sums[0]}, dead = {sums[1]}")  # noqa: S608 - constants
