"""Storage of the entries that have arrived."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from akto_mirror.ingestion import arrivals
from akto_mirror.ingestion.arrivals import MARK, Answer, Store
from tests.support.entries import entry


def paths(store: Store, number: int, limit: int | None = None) -> tuple[int, list[str]]:
    """Return the number of the first entry, and the paths, of a window that starts at `number`."""
    first, kept = store.since(number, limit)
    return first, [json.loads(each)["path"] for each in kept]


def test_the_newest_are_kept() -> None:
    """The newest entries are kept with their numbers, and a window starts at the oldest one kept."""
    store = Store(keep=3)
    for number in range(5):
        store.add(entry(f"/{number}"))
    assert paths(store, 0) == (2, ["/2", "/3", "/4"])
    assert paths(store, 3, 1) == (3, ["/3"])
    assert paths(store, 9) == (5, [])
    assert store.total == 5


def test_bytes_are_bounded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of the kept entries is bounded too."""
    monkeypatch.setattr(arrivals, "KEEP_BYTES", 2000)
    store = Store()
    for number in range(3):
        store.add(entry(f"/{number}", responsePayload="x" * 900))
    assert paths(store, 0) == (2, ["/2"])


def test_to_clear_is_to_forget_and_to_go_on() -> None:
    """Clearing removes the entries and changes `run`, by which a page notices that its data are old."""
    store = Store()
    store.add(entry())
    run = store.run
    store.clear()
    assert (paths(store, 0), store.total) == ((1, []), 1)
    assert store.run != run
    assert store.look(lambda inventory: inventory.total) == 0


def test_a_file_gets_all_with_what_would_be_lost(tmp_path: Path) -> None:
    """The file has one entry per line; an entry that Akto would drop is marked and counted, and otherwise unchanged."""
    store = Store(keep=1, out=tmp_path / "out")
    store.add(entry("/a"))
    store.add(entry("/health"))
    store.close()
    first, second = map(json.loads, (tmp_path / "out").read_text().splitlines())
    assert MARK not in first
    assert second.pop(MARK)
    assert second == entry("/health")
    assert store.lost().startswith("; ")


def test_answers_are_counted() -> None:
    """Answers are counted by status; batches are listed only if they were accepted as a whole."""
    store = Store()
    for answer in (Answer(200, 3, ""), Answer(422, 1, "bad"), Answer(200, 2, "")):
        store.note(answer)
    assert (dict(store.answers), list(store.batches)) == ({200: 2, 422: 1}, [3, 2])


def test_waiting_ends_with_the_entry_or_with_the_time() -> None:
    """The error says how many entries have arrived."""
    store = Store()
    store.add(entry())
    store.wait_for(1, 0.0)
    with pytest.raises(TimeoutError, match="1 of 2 entries arrived within"):
        store.wait_for(2, 0.0)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """A pipe is refused, because its reader could block the service."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe or a socket"):
        Store(out=tmp_path / "pipe")
