"""Files are read to their end, whatever they contain."""

from __future__ import annotations

from pathlib import Path

import pytest
from mitmproxy.test import tflow

from akto_mirror.outcomes import Reason
from akto_mirror.replay import job
from akto_mirror.replay.entries import Decider
from akto_mirror.replay.progress import Origin
from akto_mirror.replay.progress_bar import Bar
from akto_mirror.replay.reader import MOST_LINES, Reader
from tests.support.flows import flow, request, response
from tests.support.replays import save


class Keeping(Reader):
    """A reader that keeps entries and lines."""

    def __init__(self, *files: Path, rewrite_time: bool = False) -> None:
        super().__init__(job.of(files, [], {}, {}, rewrite_time=rewrite_time), Bar(quiet=True))
        self.taken: list[bytes] = []
        self.lines: list[str] = []

    def take(self, encoded: bytes, origin: Origin) -> None:
        """Keep the entry, and finish its flow."""
        self.taken.append(encoded)
        origin.progress.finish(origin.number, origin.digest)

    def note(self, text: str) -> None:
        """Keep the line."""
        self.lines.append(text)


def test_each_flow_counts_once(tmp_path: Path) -> None:
    """Each flow is counted as an entry, as skipped, or as not HTTP."""
    file = save(tmp_path / "f", [flow(), flow(answer=response(404)), tflow.ttcpflow(), flow(request(path=b"/b"))])
    reader = Keeping(file)
    reader.read_all()
    tally = reader.tally
    assert (tally.flows, tally.captured, tally.foreign, dict(tally.skipped)) == (4, 2, 1, {Reason.STATUS: 1})
    assert [b'"path":"/api/items"' in reader.taken[0], b'"path":"/b"' in reader.taken[1]] == [True, True]
    assert reader.complete
    assert reader.lines == []


def test_a_file_that_is_missing_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """The line names the missing file, and the others are read."""
    reader = Keeping(tmp_path / "none", save(tmp_path / "f", [flow()]))
    reader.read_all()
    assert len(reader.taken) == 1
    assert not reader.complete
    assert reader.lines == [f"cannot read {tmp_path}/none: No such file or directory"]


def test_one_odd_flow_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows that raise an error are reported, up to a number of lines, and the rest is counted."""

    def fail(*_: object) -> None:
        raise ValueError("odd\nflow")

    monkeypatch.setattr(Decider, "of", fail)
    file = save(tmp_path / "f", [flow() for _ in range(MOST_LINES + 2)])
    reader = Keeping(file)
    reader.read_all()
    assert reader.tally.errors == MOST_LINES + 2
    assert reader.lines[0] == rf"{file}: flow 1: ValueError: odd\nflow; please report this"
    assert reader.lines[MOST_LINES:] == [f"{file}: 2 more lines like these are left out"]


def test_times_may_be_those_of_the_replay(tmp_path: Path) -> None:
    """Times can be replaced by the current time."""
    file = save(tmp_path / "f", [flow()])
    kept, rewritten = Keeping(file), Keeping(file, rewrite_time=True)
    for reader in (kept, rewritten):
        reader.read_all()
    assert b'"time":"1700000000"' in kept.taken[0]
    assert b'"time":"1700000000"' not in rewritten.taken[0]
