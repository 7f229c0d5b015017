"""The spool as users manage it: list waiting entries and dead letters, and send, redirect or delete them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence

from akto_mirror.delivery.spool import rows, sessions
from akto_mirror.delivery.spool.file import SpoolFile
from akto_mirror.delivery.spool.view import DeadLetter, Share, read_letters, read_shares

# How many batches and dead letters one transaction changes, so that it fits into the preallocated journal and other
# processes do not wait long; and the seconds before the next transaction, in which they can write.
STEP_ROWS = 500
PAUSE_S = 0.05


class SpoolByHand(SpoolFile):
    """The spool's file, for users; see `SpoolFile` for the arguments."""

    def waiting(self) -> list[Share]:
        """List the waiting entries, by target."""
        with self._reading() as db:
            return read_shares(db)

    def dead_letters(self) -> list[DeadLetter]:
        """List the entries that were refused for good, oldest first."""
        with self._reading() as db:
            return list(read_letters(db))

    def dead_targets(self) -> dict[int, str]:
        """Return the targets of the dead letters, by their ids."""
        with self._reading() as db:
            return dict(db.execute("SELECT id, target FROM dead ORDER BY id").fetchall())

    def revive(self, numbers: Collection[int] | None = None, target: str = "") -> int:
        """Make dead letters waiting entries again, all or the given ones; returns how many."""
        return self._change_dead(numbers, lambda db, number: rows.revive(db, number, target, self._clock()))

    def drop_dead(self, numbers: Collection[int] | None = None) -> int:
        """Delete dead letters, all or the given ones; returns how many."""
        return self._change_dead(numbers, rows.delete_dead)

    def _change_dead(self, numbers: Collection[int] | None, change: Callable[[sqlite3.Connection, int], object]) -> int:
        there = self.dead_targets()
        chosen = [number for number in there if numbers is None or number in numbers]
        self._in_steps(chosen, change)
        return len(chosen)

    def drop_waiting(self, target: str) -> int:
        """Delete the entries that wait for a target; returns how many there were."""
        with self._reading() as db:
            found = rows.waiting_for(db, target)
        self._in_steps(list(found), rows.delete)
        return sum(found.values())

    def redirect(self, start: str, end: str) -> int:
        """Redirect one target's entries to another, for the next session to send; returns how many there were."""
        with self._transaction() as db:
            return sessions.redirect(db, start, end)

    def _in_steps(self, numbers: Sequence[int], change: Callable[[sqlite3.Connection, int], object]) -> None:
        """Change rows step by step, letting other processes write in between."""
        for start in range(0, len(numbers), STEP_ROWS):
            if start:
                time.sleep(PAUSE_S)
            with self._transaction() as db:
                for number in numbers[start : start + STEP_ROWS]:
                    change(db, number)
