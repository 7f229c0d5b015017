"""Which flows are done: the ledger, the manifest, bookmarks and the bar."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror import bookmark, progress
from akto_mirror.bookmark import Bookmark, Edition
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.ledger import Ledger, Manifest, ReceiptSink
from akto_mirror.progress import Bar

EDITION = Edition(10, 20, "options")


@given(begun=st.integers(0, 20), settled=st.sets(st.integers(0, 19)))
def test_what_was_begun_and_not_settled_is_missing(begun: int, settled: set[int]) -> None:
    """A flow is done only if it was begun and said to be done; nothing else is ever passed over."""
    ledger = Ledger()
    for number in range(begun):
        ledger.begin(number)
        if number in settled:
            ledger.settle(number)
    again = Ledger(ledger.seen, ledger.missing())
    for one in (ledger, again):
        assert [number for number in range(25) if one.is_done(number)] == sorted(settled & set(range(begun)))
        assert one.open == len(one.missing())


def test_equal_entries_settle_one_flow_each() -> None:
    """Of three equal entries of which two have arrived, one flow stays open."""
    ledger, manifest = Ledger(), Manifest()
    for number in range(3):
        ledger.begin(number)
        manifest.add(b"same", ledger, number)
    manifest.arrive([b"same", b"same", b"unknown"])
    assert (manifest.shipped, ledger.open) == (2, 1)
    assert manifest.remove(b"same") == (ledger, 2)
    assert manifest.remove(b"same") is None


class Answering:
    """A sink that answers with given statuses, one after the other."""

    def __init__(self, *statuses: int | None) -> None:
        self._statuses = list(statuses)
        self.calls: list[str] = []

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Answer."""
        del entries, timeout_s
        return SendResult(self._statuses.pop(0))

    def is_healthy(self, timeout_s: float) -> bool:
        """Say yes."""
        self.calls.append(f"is_healthy {timeout_s}")
        return True

    def abort(self) -> None:
        """Take note."""
        self.calls.append("abort")

    def close(self) -> None:
        """Take note."""
        self.calls.append("close")


def test_only_what_was_taken_is_settled() -> None:
    """A batch that failed leaves its flows open and the failure to be looked at; one that passed ends both."""
    ledger, manifest = Ledger(), Manifest()
    ledger.begin(0)
    manifest.add(b"entry", ledger, 0)
    inner = Answering(None, 401, 503, 200)
    sink = ReceiptSink(inner, manifest)
    for status in (None, 401, 503):
        assert sink.send([b"entry"], 1).status == status
        assert sink.trouble == SendResult(status)
        assert (manifest.shipped, ledger.open) == (0, 1)
    assert sink.send([b"entry"], 1).status == 200
    assert (sink.trouble, manifest.shipped, ledger.open) == (None, 1, 0)
    assert sink.is_healthy(2)
    sink.abort()
    sink.close()
    assert inner.calls == ["is_healthy 2", "abort", "close"]


def test_a_bookmark_gives_back_what_was_written(tmp_path: Path) -> None:
    """For the same file, destination, size, time and options; for any other there is none."""
    place = Bookmark(tmp_path, tmp_path / "a.mitm", "http://x")
    place.save(EDITION, Ledger(7, [2, 3]))
    found = Bookmark(tmp_path, tmp_path / "a.mitm", "http://x").load(EDITION)
    assert found
    assert (found.seen, found.missing()) == (7, [2, 3])
    others = [Bookmark(tmp_path, tmp_path / "b.mitm", "http://x"), Bookmark(tmp_path, tmp_path / "a.mitm", "http://y")]
    assert [other.load(EDITION) for other in others] == [None, None]
    editions = [Edition(11, 20, "options"), Edition(10, 21, "options"), Edition(10, 20, "other")]
    assert [place.load(edition) for edition in editions] == [None, None, None]


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"size": 10, "mtime_ns": 20, "options": "options"}'])
def test_a_damaged_bookmark_is_none(content: str, tmp_path: Path) -> None:
    """Then all is shipped, which may repeat entries but loses none."""
    place = Bookmark(tmp_path, tmp_path / "a.mitm", "http://x")
    place.save(EDITION, Ledger(1))
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    assert place.load(EDITION) is None


def test_a_bookmark_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """No half of a file is ever seen under its name, and none is left behind."""
    place = Bookmark(tmp_path, tmp_path / "a.mitm", "http://x")
    for seen in range(5):
        place.save(EDITION, Ledger(seen))
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_the_folder_does_not_stand_in_the_spools_way(tmp_path: Path) -> None:
    """Both live in one state folder, whose mode is the spool's: nobody else may read it."""
    made = bookmark.folder({"XDG_STATE_HOME": str(tmp_path)})
    assert made == tmp_path / "akto-mirror" / "replay"
    if os.name == "posix":
        assert [path.stat().st_mode & 0o777 for path in (made, made.parent)] == [0o700, 0o700]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0.0, 0, 0.0, 0.0), "[........................]   0%  0 flows  0/s  -:-- left"),
        ((0.5, 1234, 10.0, 0.0), "[############............]  50%  1,234 flows  123/s  0:10 left"),
        ((0.75, 100, 10.0, 0.5), "[##################......]  75%  100 flows  10/s  0:10 left"),
        ((0.01, 10, 60.0, 0.0), "[........................]   1%  10 flows  0/s  1:39:00 left"),
        ((1.0, 10, 5.0, 0.0), "[########################] 100%  10 flows  2/s  0:00 left"),
    ],
)
def test_the_bar(arguments: tuple[float, int, float, float], text: str) -> None:
    """Share, count, rate and time left, which is reckoned from what this run has done."""
    assert progress.line(*arguments) == text


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    """Lines are written all the same, with characters that cannot be shown escaped."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    bar = Bar(stream)
    bar.show(0.5, 10)
    bar.tell("é")
    bar.clear()
    stream.seek(0)
    assert stream.read() == "\\xe9\n"
