"""The end of values in plain text."""

from __future__ import annotations

import re

import pytest

from akto_mirror.capture.redaction.delimiters import lines_end, nested_end, string_end, triple_end
from akto_mirror.capture.redaction.rules.work import Work


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [
        (b'a" b"', 0, (1, True)),
        (b'a\\"b" c', 0, (4, True)),
        (b'a\\" b', 1, (1, True)),
        (b'a" b', 1, (1, False)),
        (b'it""s" b', 0, (5, True)),
        (b'"', 0, (0, True)),
        (b"cut", 0, (3, False)),
    ],
)
def test_strings(text: bytes, level: int, expected: tuple[int, bool]) -> None:
    """A string ends with a quote of its own level, which YAML, SQL and CSV double inside the text."""
    assert string_end(text, 0, level, b'"', Work()) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [(b'"""a"b""" c', (6, True)), (b'"""a\\"""b"""', (9, True)), (b'"""a', (4, False))]
)
def test_block_strings(text: bytes, expected: tuple[int, bool]) -> None:
    """A block string ends with three quotes without a backslash before them."""
    opened = re.match(rb'(\\*)(""")', text)
    assert opened
    assert triple_end(text, opened, Work()) == expected


@pytest.mark.parametrize(("text", "expected"), [(b'{"a":["}"]} b', 11), (b"[1,[2]],3", 7), (b"{cut", 4)])
def test_brackets(text: bytes, expected: int) -> None:
    """Brackets are matched outside strings."""
    assert nested_end(text, 0, Work()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"p: a\nx: 1", 4),
        (b"p: |\n  a\n\n  b\nx: 1", 13),
        (b"p:\n- a\n- b\nx: 1", 10),
        (b"p: a\n- b", 4),
        (b"p: a\r\n  b\r\nx", 9),
    ],
)
def test_lines(text: bytes, expected: int) -> None:
    """A block ends at the first line that is not indented more, unless that is a list item."""
    assert lines_end(text, 2, 0, Work()) == expected


def test_what_takes_too_much_work_goes_to_the_end() -> None:
    """Strings, brackets and lines that take too much work extend to the end."""
    opened = re.match(rb'(\\*)(""")', b'"""')
    assert opened
    assert string_end(b"a''" * 9 + b"'a", 0, 0, b"'", Work(5)) == (29, False)
    assert triple_end(b'"""' + b'\\"""' * 9 + b'"""a', opened, Work(5)) == (43, False)
    assert nested_end(b"[" + b"[]" * 9 + b"]a", 0, Work(5)) == 21
    assert lines_end(b"p:" + b"\n a" * 9 + b"\nb", 2, 0, Work(5)) == 31
