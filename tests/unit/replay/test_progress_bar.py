"""The progress bar of a replay."""

from __future__ import annotations

import io

import pytest

from akto_mirror.replay import progress_bar
from akto_mirror.replay.progress_bar import Bar


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
    """The bar has share, count, rate and remaining time, which is estimated from this run."""
    assert progress_bar.line(*arguments) == text


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    """Without a terminal no bar is drawn; lines are written, with unsupported characters escaped."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    bar = Bar(stream)
    bar.show(0.5, 10)
    bar.write("é")
    bar.clear()
    stream.seek(0)
    assert stream.read() == "\\xe9\n"
