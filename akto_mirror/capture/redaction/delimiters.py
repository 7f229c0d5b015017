"""Finds the ends of values in quotes and brackets, in text without a parser."""

from __future__ import annotations

import re

from akto_mirror.capture.redaction.rules.work import Work

LINE = re.compile(rb"[^\r\n]*")
STRUCTURAL = re.compile(rb"[\"'{}\[\]\n]")


def triple_end(data: bytes, opened: re.Match[bytes], work: Work) -> tuple[int, bool]:
    """Return where a string in three quotes ends, and whether by its own delimiter."""
    delimiter, escape = opened[1] + opened[2], opened[1] + b"\\"
    found = data.find(delimiter, opened.end())
    # GraphQL writes three quotes in a block string as \""".
    while found >= 0 and work.take() and data.endswith(escape, opened.end(), found):
        found = data.find(delimiter, found + len(delimiter))
    return (found, True) if found >= 0 and work.steps >= 0 else (len(data), False)


def string_end(data: bytes, start: int, level: int, mark: bytes, work: Work) -> tuple[int, bool]:
    """Return where a string ends, and whether by its own delimiter: one of the string that it stands in ends it too.

    Args:
        data: the text.
        start: behind the opening delimiter.
        level: backslashes before that.
        mark: its quote.
        work: what it may take to follow its quotes; where there are more, the text is hidden to its end.
    """
    position = start
    while work.take() and (found := data.find(mark, position)) >= 0:
        run = _backslashes(data, start, found) % (2 * level + 2)
        if level == 0 and found > start and data.startswith(mark, found + 1) and not data.startswith(mark, found + 2):
            # YAML, SQL and CSV double a quote that belongs to the text.
            position = found + 2
            continue
        if run <= level:
            return found - run, run == level
        position = found + 1
    return len(data), False


def lines_end(data: bytes, value: int, column: int, work: Work) -> int:
    """Return where a value ends that goes to the end of its line, and over lines behind it that are indented more.

    Args:
        data: the text.
        value: where it begins.
        column: that of its name. A list under a name without a value may be indented as the name is, as YAML allows.
        work: what it may take to follow its lines.
    """
    content = data[value : LINE.match(data, value).end()].rstrip()  # type: ignore[union-attr]
    after = end = value + len(content)
    while (following := _next_line(data, after)) >= 0:
        text = data[following : LINE.match(data, following).end()]  # type: ignore[union-attr]
        indent = len(text) - len(text.lstrip(b" \t"))
        is_item = not content and indent == column and text.lstrip().startswith(b"-")
        if text.strip() and indent <= column and not is_item:
            break
        if text.strip():
            end = following + len(text.rstrip())
        after = following + len(text)
        if not work.take(2):
            return len(data)
    return end


def _next_line(data: bytes, end: int) -> int:
    """Return where the line behind one that ends here begins; -1 if there is none."""
    found = data.find(b"\n", end, end + 3)
    return found + 1 if 0 <= found < len(data) - 1 else -1


def nested_end(data: bytes, start: int, work: Work) -> int:
    """Return where an object or a list ends; the end of the text if it does not."""
    depth, inside, level = 0, b"", 0
    for token in STRUCTURAL.finditer(data, start):
        mark = token[0]
        if not work.take():
            break
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
