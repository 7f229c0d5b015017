"""The format of the spool. Each format has its own file name, so that different versions never share a file.

A batch's row never changes once it is written, and its payload is in another table; its owner and its target are in the
row of its session. So taking over, redirecting and removing batches need no space on a full disk.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

# The version of the current format. The first one had the file `spool.db`.
VERSION = 2
FIRST = "spool.db"

JOURNAL = "-journal"
# Suffixes of the files that can belong to a database of any format.
BESIDE = (JOURNAL, "-wal", "-shm")

# A session holds what one process writes for one target. Its owner increments `beats` as a heartbeat; they start at a
# value whose stored integer already has its greatest length, so that no update makes a row longer.
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
    """Yield the names that a file of this version may have: the next one is used if a newer format has taken a name."""
    yield f"spool-{VERSION}.db"
    yield from (f"spool-{VERSION}.{number}.db" for number in range(1, 10))


def version_of(name: str) -> int:
    """Return the version in a file's name; 0 if it is not a file of the spool."""
    found = _NAME.fullmatch(name)
    return int(found[1] or 1) if found else 0


def reader(file: Path, timeout_s: float) -> sqlite3.Connection:
    """Open a file for reading: no other file is created, and nothing is changed."""
    db = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=timeout_s, isolation_level=None)
    db.text_factory = read_text
    return db


def has_tables(db: sqlite3.Connection) -> bool:
    """Return whether a file has its tables; a process may have been killed before it created them."""
    return bool(db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0])


def read_text(raw: bytes) -> str:
    """Read a value as a string, whatever a damaged file contains."""
    return raw.decode("utf-8", "replace")


def is_newer(file: Path, timeout_s: float) -> bool:
    """Return whether a file has the format of a newer version; False if it cannot be read.

    SQLite reads it: opening and closing the file without SQLite would release this process's locks on it.
    """
    try:
        with closing(reader(file, timeout_s)) as db:
            return int(db.execute("PRAGMA user_version").fetchone()[0]) > VERSION
    except (sqlite3.Error, ValueError, TypeError):
        return False


def own_file(folder: Path, timeout_s: float) -> Path:
    """Return the file of this version in a folder; it need not exist yet."""
    files = [folder / name for name in names()]
    return next((file for file in files if not (file.exists() and is_newer(file, timeout_s))), files[-1])


def newer_files(folder: Path, own: Path) -> list[Path]:
    """List the files of newer versions in a folder: those with newer names, and those that precede `own`."""
    try:
        found = sorted(path for path in folder.iterdir() if version_of(path.name) > VERSION)
    except OSError:
        return []
    taken = [folder / name for name in names()]
    return [path for path in taken[: taken.index(own)] if path.exists()] + found
