"""Outcomes of recorded flows, as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from akto_mirror.config import options
from akto_mirror.replay import entries
from akto_mirror.replay.dry_run import DryRun
from akto_mirror.replay.job import Job
from akto_mirror.replay.progress_bar import Bar
from tests.support.data import DATA


def table(path: Path) -> tuple[int, list[str]]:
    """Do a dry run, and return the exit code and the lines."""
    values, lines = entries.parse_options([], {}), list[str]()
    run = DryRun(Job([path], values, options.read(values, {})), Bar(quiet=True), lines.append)
    return run.run(), lines


@pytest.mark.parametrize("name", ["flows.mitm", "chrome.har"])
def test_each_flow_is_a_line_and_the_sum_is_the_last(name: str) -> None:
    """Each flow is a line, and the last line has the sums of the others."""
    code, (*lines, last) = table(DATA / name)
    assert code == 0
    captured = sum(line.startswith("captured") for line in lines)
    skipped = sum(line.startswith("skipped (") for line in lines)
    assert captured + skipped == len(lines)
    assert f" = {captured} to ship + {skipped} skipped" in last
    assert last.startswith("dry run, nothing is sent: ")


def test_a_file_that_ends_too_early_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flows before the end of the file are shown."""
    file = tmp_path / "flows.mitm"
    file.write_bytes((DATA / "flows.mitm").read_bytes()[:-10])
    code, lines = table(file)
    assert code == 1
    assert len(lines) > 1
    assert str(file) in capsys.readouterr().err
