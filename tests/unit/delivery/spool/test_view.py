"""Delivery contract, lines 6 and 12: a spool as other processes see it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from akto_mirror.delivery.spool import view
from akto_mirror.delivery.spool.errors import SpoolError
from akto_mirror.delivery.spool.view import LAST_SECOND
from akto_mirror.outcomes import Rejected
from tests.faults.driver import EPOCH, Clock
from tests.support.spools import BATCH, spool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a running process's spool, with two batches and three dead letters."""
    clock = Clock()
    mine = spool(tmp_path, clock=clock)
    mine.put(BATCH)
    clock.now += 5
    mine.put(BATCH[:1])
    mine.replace(None, [], [Rejected(entry, f"42{number}") for number, entry in enumerate(BATCH)])
    return tmp_path / "spool"


def test_waiting_entries_are_summed_up_by_target(folder: Path) -> None:
    """Line 12: waiting entries are summed up by target, with the time of the oldest."""
    (share,) = view.shares(folder)
    assert (share.target, share.batches, share.entries, share.oldest) == ("t", 2, 4, EPOCH + 1000)
    sizes = view.measure(folder, "t")
    assert sizes
    assert (sizes.waiting, sizes.oldest) == (share.size, EPOCH + 1000)
    assert sizes.dead > view.dead_sizes(folder)[1]
    other = view.measure(folder, "u")
    assert other
    assert (other.waiting, other.oldest) == (share.size, None)


def test_letters_are_read_one_by_one(folder: Path) -> None:
    """Line 6: dead letters are read one by one, oldest or newest first; one that is deleted meanwhile is left out."""
    assert [letter.payload for letter in view.letters(folder)] == BATCH
    assert [letter.id for letter in view.newest_dead(folder, 2)] == [3, 2]
    assert view.dead_sizes(folder) == (3, sum(map(len, BATCH)))
    reading = view.letters(folder)
    assert next(reading).reason == "420"
    with contextlib.closing(spool(folder.parent, "user")) as user:
        assert user.drop_dead([2]) == 1
    assert [letter.reason for letter in reading] == ["422"]


def test_to_look_creates_nothing(tmp_path: Path) -> None:
    """Line 6: a missing spool is reported, and not created."""
    assert view.measure(tmp_path, "t") is None
    with pytest.raises(SpoolError, match="nothing is on disk"):
        view.shares(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("look", [view.shares, view.dead_sizes, lambda folder: list(view.letters(folder))])
def test_a_file_of_something_else_is_an_error_of_one_line(folder: Path, look: object) -> None:
    """Line 9: a file that is not a database is an error of one line with the folder."""
    assert callable(look)
    for file in folder.glob("spool*.db"):
        file.write_bytes(b"my diary" * 1000)
    with pytest.raises(SpoolError) as caught:
        look(folder)
    assert str(folder) in str(caught.value)
    assert str(caught.value).isprintable()
    assert view.measure(folder, "t") is None


def test_damaged_rows_are_shown_as_they_can_be(folder: Path) -> None:
    """Line 9: rows with impossible times and payloads are shown as far as possible."""
    (file,) = folder.glob("spool*.db")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE dead SET created = 'soon', payload = 99 WHERE id = 1")
        db.execute("UPDATE payloads SET payload = 'text' WHERE id = (SELECT payload FROM dead WHERE id = 2)")
        db.execute("UPDATE batches SET created = 'never'")
    first, second, _ = view.letters(folder)
    assert (first.created, first.payload, second.payload) == (0, b"None", b"text")
    assert [share.oldest for share in view.shares(folder)] == [0]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1.5, 1.5), (LAST_SECOND, LAST_SECOND), (LAST_SECOND + 1, 0), (-1, 0), ("x", 0), (None, 0)]
)
def test_a_time_that_no_date_has_is_0(seconds: object, shown: float) -> None:
    """Line 9: an impossible time becomes 0, so that a list of entries does not end with an error."""
    assert view.epoch(seconds) == shown
