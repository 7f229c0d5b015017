"""Where values in quotes and in brackets end, in text that no parser reads."""

from __future__ import annotations

import re
from itertools import islice

# Quotes and brackets of one value that are followed; what has more is hidden to the end of the text.
MOST_MARKS = 8_000

STRUCTURAL = re.compile(rb"[\"'{}\[\]\n]")


def triple_end(data: bytes, opened: re.Match[bytes]) -> tuple[int, bool]:
    """Return where a string in three quotes ends, and whether by its own delimiter."""
    found = data.find(opened[1] + opened[2], opened.end())
    return (found, True) if found >= 0 else (len(data), False)


def string_end(data: bytes, start: int, level: int, mark: bytes) -> tuple[int, bool]:
    """Return where a string ends, and whether by its own delimiter: one of the string that it stands in ends it too.

    Args:
        data: the text.
        start: behind the opening delimiter.
        level: backslashes before that.
        mark: its quote.
    """
    position, left = start, MOST_MARKS
    while left and (found := data.find(mark, position)) >= 0:
        left -= 1
        run = _backslashes(data, start, found) % (2 * level + 2)
        if run <= level:
            return found - run, run == level
        position = found + 1
    return len(data), False


def nested_end(data: bytes, start: int) -> int:
    """Return where an object or a list ends; the end of the text if it does not."""
    depth, inside, level = 0, b"", 0
    for token in islice(STRUCTURAL.finditer(data, start), MOST_MARKS):
        mark = token[0]
        if mark in (b'"', b"'"):
            run = _backslashes(data, start, token.start())
            if not inside:
                inside, level = mark, run
            elif mark == inside and run % (2 * level + 2) == level:
                inside = b""
        elif mark == b"\n":
            # No string goes on over the end of a line: a quote was missing.
            inside = b""
        elif not inside:
            depth += 1 if mark in (b"{", b"[") else -1
            if depth == 0:
                return token.end()
    return len(data)


def _backslashes(data: bytes, start: int, position: int) -> int:
    """Count the backslashes before a position, as far as they matter."""
    before = data[max(start, position - 64) : position]
    return len(before) - len(before.rstrip(b"\\"))
