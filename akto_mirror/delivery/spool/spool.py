"""The spool: batches on disk, each leased to one process, and dead letters.

Several processes may share it. No token is ever written here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from akto_mirror.delivery.spool import rows, sessions
from akto_mirror.delivery.spool.by_hand import SpoolByHand
from akto_mirror.delivery.spool.errors import NoSpaceError, SpoolFull
from akto_mirror.delivery.spool.first_format import FirstFormat
from akto_mirror.delivery.spool.leases import Watch
from akto_mirror.delivery.spool.rows import ROW_OVERHEAD
from akto_mirror.outcomes import Rejected
from akto_mirror.snapshots import Takeover

# The share of the spool's bytes that dead letters may take.
DEAD_SHARE = 10

# Pages that one transaction of tidying returns to the disk, so that it fits into the journal and no process waits long;
# how many transactions one step has; and how many pages must be free before tidying starts.
TIDY_PAGES = 16
TIDY_TIMES = 16
SPARE_PAGES = 1024

_spools = itertools.count()


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch on disk."""

    id: int
    entries: list[bytes]


class Spool(SpoolByHand):
    """One process's view of the spool; used by one thread at a time.

    Args:
        folder: the file's folder; it is created if it is missing.
        target: the destination of the batches; those of other targets are left alone.
        limit: bytes that all batches and dead letters may take together; dead letters may take a tenth.
        owner: a name that no other process has.
        lease_s: after this many seconds without a heartbeat, other processes take over this process's batches.
        clock: epoch seconds, which are only shown.
        monotonic: seconds of the monotonic clock.

    Attributes:
        damaged: ids of damaged batches that were moved to the dead letters.
        unfinished: whether the last call of `adopt` or `tidy` may have left something for another step.
        takeovers: sessions that were begun or taken over, until they are counted.
        doubtful: how many of the adopted entries a dead process may have delivered, until they are counted.
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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(folder, clock)
        self.target = target
        self.limit = limit
        self.lease_s = lease_s
        # Unique even for two spools in one process, of which the second has to take over the first's released batches.
        # All names have the same length, so that a session with a new owner takes no more space.
        name = f"{owner}/{next(_spools)}".encode("utf-8", "surrogateescape")
        self.owner = hashlib.blake2s(name, digest_size=8).hexdigest()
        self.damaged: list[int] = []
        self.unfinished = False
        self.takeovers: list[Takeover] = []
        self.doubtful = 0
        self._tidying = False
        self._monotonic = monotonic
        self._watch = Watch(lease_s)
        self._first = FirstFormat(folder, lease_s, clock, monotonic)
        self._beat_at = float("-inf")

    def _is_new(self) -> bool:
        """Return whether there is no file that this process would have to read."""
        return not self._touched and not super().exists()

    def exists(self) -> bool:
        """Return whether anything may be on disk, in the current or the first format."""
        return super().exists() or self._first.is_news()

    @property
    def first(self) -> FirstFormat:
        """The file of the first format."""
        return self._first

    def take_in(self) -> None:
        """Take over all entries in the first format that no live process owns.

        Raises:
            SpoolError: the disk does not take it.
        """
        while self._first.is_news() and self._first.move(self._import):
            pass

    def notes(self) -> list[str]:
        """Return the lines to log about files of other versions."""
        newer = [f"{file} is of a newer version, and is left alone" for file in self.newer]
        notes, self._first.notes = [*newer, *self._first.notes], []
        return notes

    def put(self, entries: Sequence[bytes]) -> int:
        """Store a batch, leased to this process.

        Returns:
            Its id.

        Raises:
            SpoolFull: there is no room.
            SpoolError: the disk cannot be used.
        """
        return self.put_all([entries])[0]

    def put_all(self, batches: Sequence[Sequence[bytes]]) -> list[int]:
        """Store batches as `put` does, all or none of them, with a single wait for the disk; returns their ids.

        Raises:
            SpoolFull: there is no room for all of them.
            SpoolError: the disk cannot be used.
        """
        payloads = [b"\n".join(entries) for entries in batches]
        self._require_journal()
        with self._transaction() as db:
            if sum(rows.totals(db)) + sum(map(len, payloads)) + ROW_OVERHEAD * len(payloads) > self.limit:
                raise SpoolFull(f"the spool has reached its {self.limit} bytes")
            session = self._session(db)
            return [rows.insert(db, session, self._clock(), payload) for payload in payloads]

    def next(self, skip: Collection[int]) -> Stored | None:
        """Return the oldest of this process's least often refused batches.

        A batch that is damaged on disk is moved to the dead letters as it is.

        Args:
            skip: ids to leave out.
        """
        self._show_life()
        while True:
            with self._reading() as db:
                found = rows.first(db, self.owner, self.target, json.dumps(list(skip)))
            if found is None:
                return None
            if found.entries is not None:
                return Stored(found.id, found.entries)
            with self._transaction() as db:
                rows.bury_damaged(db, found.id)
            self.damaged.append(found.id)

    def postpone(self, number: int) -> None:
        """Postpone a refused batch until the others have been tried."""
        with self._transaction() as db:
            if sessions.holds(db, self.owner, number):
                rows.count_refusal(db, number)

    def remove(self, numbers: Collection[int]) -> int:
        """Remove batches that were shipped, whichever process owns them now; returns how many there were."""
        with self._transaction() as db:
            return sum(rows.delete(db, number) for number in numbers)

    def replace(self, number: int | None, rest: Sequence[bytes], dead: Sequence[Rejected]) -> int | None:
        """Replace a batch by its entries that are still to be sent, and keep those that were refused for good.

        Args:
            number: the batch; None if it is not on disk.
            rest: entries still to be sent.
            dead: entries refused for good.

        Returns:
            How many of the refused entries were kept, from the first on; None if another process owns the batch now.
        """
        with self._transaction() as db:
            if number is not None:
                if not sessions.holds(db, self.owner, number):
                    return None
                rows.delete(db, number)
            if rest:
                rows.insert(db, self._session(db), self._clock(), b"\n".join(rest))
            return sum(1 for letter in dead if self._keep_dead(db, letter))

    def adopt(self) -> int:
        """Write a heartbeat, and take over batches that are free or whose owner is dead.

        This process's batches for another target are redirected to the current one. Entries in the first format are
        taken over step by step.

        Returns:
            The number of entries taken over.
        """
        self.unfinished = self._first.is_news() and self._first.move(self._import)
        if self._is_new():
            return 0
        with self._transaction() as db:
            self._beat(db)
            now = self._monotonic()
            dead = self._watch.dead(sessions.signs(db, self.owner), now)
            doubtful = sessions.in_doubt(db, self.target, dead)
            found = sessions.take_over(db, self.owner, self.target, dead)
        self.doubtful += doubtful
        self.takeovers += [Takeover(now, session, entries) for session, entries in found.items()]
        return sum(found.values())

    def owned(self, skip: Collection[int] = ()) -> int:
        """Count the entries that are leased to this process, except those of the batches to skip."""
        if self._is_new():
            return 0
        with self._reading() as db:
            return sessions.entries(db, self.owner, json.dumps(list(skip)))

    def owned_ids(self) -> set[int]:
        """Return the ids of the batches that are leased to this process."""
        with self._reading() as db:
            return sessions.batches(db, self.owner)

    def release(self) -> None:
        """Leave this process's batches to the next session, and close the file."""
        if not self._touched:
            return
        with self._transaction() as db:
            sessions.release(db, self.owner)
        self.close()

    def tidy(self) -> None:
        """Give the space that the file needed during an outage back to the disk, step by step."""
        self.unfinished = False
        if self._is_new():
            return
        before = self._free_pages()
        for _ in range(TIDY_TIMES if before > SPARE_PAGES or self._tidying else 0):
            with self._errors():
                # Each step of the statement frees one page; fetching all rows runs all steps.
                self._connection().executescript(f"PRAGMA incremental_vacuum({TIDY_PAGES})")
        self.unfinished = self._tidying = 0 < self._free_pages() < before

    def _free_pages(self) -> int:
        with self._reading() as db:
            return int(db.execute("PRAGMA freelist_count").fetchone()[0])

    def _import(self, found: Sequence[rows.Foreign]) -> None:
        """Store entries of the first format, except those that were stored before and not yet deleted there."""
        if not found:
            return self._forget_imported()
        self._require_journal()
        with self._transaction() as db:
            for row in found:
                rows.take_in(db, row)
        return None

    def _forget_imported(self) -> None:
        """Forget the record of imported rows, when none of them is left in the first format."""
        if super().exists():
            with self._transaction() as db:
                db.execute("DELETE FROM imported")

    def _require_journal(self) -> None:
        """Make sure that what is stored can be removed again when the disk is full."""
        db = self._connection()
        try:
            with self._errors():
                self._fill_journal(db)
        except NoSpaceError as error:
            raise NoSpaceError(f"{self._journal}: no room to write safely") from error

    def _session(self, db: sqlite3.Connection) -> int:
        self._show_life_in(db)
        found = sessions.newest(db, self.owner, self.target)
        if found is None:
            found = sessions.begin(db, self.owner, self.target)
            self.takeovers.append(Takeover(self._monotonic(), found, 0))
        return found

    def _show_life(self) -> None:
        """Extend the lease when a third of it has passed, so that a busy process does not write at every step."""
        if self._monotonic() >= self._beat_at:
            with self._transaction() as db:
                self._beat(db)

    def _show_life_in(self, db: sqlite3.Connection) -> None:
        if self._monotonic() >= self._beat_at:
            self._beat(db)

    def _beat(self, db: sqlite3.Connection) -> None:
        sessions.beat(db, self.owner)
        self._beat_at = self._monotonic() + self.lease_s / 3

    def _keep_dead(self, db: sqlite3.Connection, letter: Rejected) -> bool:
        size = len(letter.entry) + len(letter.reason) + ROW_OVERHEAD
        if rows.totals(db)[1] + size > self.limit // DEAD_SHARE:
            return False
        payload = rows.insert_payload(db, letter.entry)
        db.execute(
            "INSERT INTO dead (created, target, reason, count, size, crc, payload) VALUES (?,?,?,1,?,?,?)",
            (self._clock(), self.target, letter.reason, size, zlib.crc32(letter.entry, 1), payload),
        )
        return True
