"""A progress bar with rate and time left, for terminals."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

BAR = 24
EVERY_S = 0.1


def line(share: float, count: int, seconds: float, since: float) -> str:
    """Return the bar's text.

    Args:
        share: the finished share of the whole, from 0 to 1.
        count: finished flows.
        seconds: the elapsed seconds.
        since: the share that was already finished at the beginning.
    """
    full = round(BAR * share)
    rate = count / seconds if seconds > 0 else 0.0
    grown = share - since
    left = clock(seconds * (1 - share) / grown) if grown > 0 else "-:--"
    return f"[{'#' * full}{'.' * (BAR - full)}] {share:4.0%}  {count:,} flows  {rate:,.0f}/s  {left} left"


def clock(seconds: float) -> str:
    """Return a time such as `0:07`, `12:30` or `1:00:00`."""
    minutes, rest = divmod(round(min(seconds, 360_000)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Bar:
    """Draws the bar on a terminal, and nothing on anything else.

    Args:
        stream: where to draw; standard error if None.
        quiet: draw nothing.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._shows = not quiet and self._stream.isatty()
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._since: float | None = None
        self._width = 0

    def show(self, share: float, count: int) -> None:
        """Redraw the bar, at most once in `EVERY_S` seconds.

        Args:
            share: the finished share of the whole, from 0 to 1.
            count: finished flows.
        """
        now = time.monotonic()
        if not self._shows or now - self._drawn_at < EVERY_S:
            return
        if self._since is None:
            self._since = share
        self._drawn_at = now
        self._draw(line(share, count, now - self._started, self._since))

    def write(self, text: str) -> None:
        """Write a line, above the bar if there is one."""
        self.clear()
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._width:
            self._draw("")
            self._stream.write("\r")
            self._stream.flush()

    def _draw(self, text: str) -> None:
        columns = shutil.get_terminal_size(os.terminal_size((80, 24))).columns
        shown = text[: columns - 1]
        self._stream.write("\r" + shown.ljust(self._width))
        self._stream.flush()
        self._width = len(shown)
