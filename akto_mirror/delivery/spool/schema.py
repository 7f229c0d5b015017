"""The formats of the spool: each has a file name of its own, so that versions side by side never share a file.

A batch's row never changes once it is written, and its payload is in another table: whose a batch is, and whom it is
for, is in the row of its session. So taking over, sending elsewhere and removing need no room on a full disk.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

# The version of the format here. The first one had the file `spool.db`.
VERSION = 2
FIRST = "spool.db"

JOURNAL = "-journal"
# What can stand beside a database, of any format.
BESIDE = (JOURNAL, "-wal", "-shm")

# A session is what one process writes for one target. Its holder gives a sign of life by counting `beats`; they begin
# where an integer has the greatest length that it will ever have, so that no update makes a row longer.
FIRST_BEAT = 2**32
FREE = "-" * 16

SCHEMA = f"""
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, holder TEXT NOT NULL, beats INTEGER NOT NULL, target TEXT NOT NULL
);
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL, created REAL NOT NULL, count INTEGER NOT NULL,
    size INTEGER NOT NULL, crc INTEGER NOT NULL, payload INTEGER NOT NULL
);
CREATE INDEX held ON batches (session, id, count);
CREATE TABLE refusals (batch INTEGER PRIMARY KEY, tries INTEGER NOT NULL);
CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL, payload INTEGER NOT NULL
);
CREATE TABLE payloads (id INTEGER PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE imported (source TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE totals (waiting INTEGER NOT NULL, dead INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER batches_in AFTER INSERT ON batches BEGIN UPDATE totals SET waiting = waiting + new.size; END;
CREATE TRIGGER batches_out AFTER DELETE ON batches BEGIN
    UPDATE totals SET waiting = waiting - old.size;
    DELETE FROM refusals WHERE batch = old.id;
END;
CREATE TRIGGER dead_in AFTER INSERT ON dead BEGIN UPDATE totals SET dead = dead + new.size; END;
CREATE TRIGGER dead_out AFTER DELETE ON dead BEGIN UPDATE totals SET dead = dead - old.size; END;
PRAGMA user_version = {VERSION};
"""  # noqa: S608 - a constant

_NAME = re.compile(r"spool(?:-(\d+)(?:\.\d+)?)?\.db")


def names() -> Iterator[str]:
    """Yield the names that a file of this version may have: the next one where a newer format has taken one."""
    yield f"spool-{VERSION}.db"
    yield from (f"spool-{VERSION}.{number}.db" for number in range(1, 10))


def version_of(name: str) -> int:
    """Return the version in a file's name; 0 if it is not a spool's."""
    found = _NAME.fullmatch(name)
    return int(found[1] or 1) if found else 0


def reader(file: Path, timeout_s: float) -> sqlite3.Connection:
    """Open a file to look at it: nothing is created beside it, and nothing in it changes."""
    db = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=timeout_s, isolation_level=None)
    db.text_factory = read_text
    return db


def has_tables(db: sqlite3.Connection) -> bool:
    """Return whether a file's tables have been made; a process may have been killed before it came to that."""
    return bool(db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0])


def read_text(raw: bytes) -> str:
    """Read a text as it should be, whatever a damaged file holds."""
    return raw.decode("utf-8", "replace")


def is_newer(file: Path, timeout_s: float) -> bool:
    """Return whether a file holds a format that only a newer version knows; what cannot be read does not.

    SQLite itself looks: to open and close the file besides it would end the locks that this process has on it.
    """
    try:
        with closing(reader(file, timeout_s)) as db:
            return int(db.execute("PRAGMA user_version").fetchone()[0]) > VERSION
    except (sqlite3.Error, ValueError, TypeError):
        return False


def own_file(folder: Path, timeout_s: float) -> Path:
    """Return the file of this version in a folder, which need not be there yet."""
    files = [folder / name for name in names()]
    return next((file for file in files if not (file.exists() and is_newer(file, timeout_s))), files[-1])


def newer_files(folder: Path, own: Path) -> list[Path]:
    """List the files of newer versions in a folder: those whose names say so, and those before `own`."""
    try:
        found = sorted(path for path in folder.iterdir() if version_of(path.name) > VERSION)
    except OSError:
        return []
    taken = [folder / name for name in names()]
    return [path for path in taken[: taken.index(own)] if path.exists()] + found
