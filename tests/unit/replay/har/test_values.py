"""Values in HAR files, which may have any type."""

from __future__ import annotations

import pytest

from akto_mirror.replay.har import values
from tests.support.har import read


def test_half_a_surrogate_pair_is_replaced() -> None:
    """Lone surrogates, which JSON can contain and UTF-8 cannot, are replaced."""
    flow = read(response={"content": {"text": "a\ud83d\ude00\ud83dz"}})
    assert flow.response
    assert flow.response.raw_content == "a😀\ufffdz".encode()


@pytest.mark.parametrize(
    ("given", "text", "line"),
    [("a\r\nb ", "a\r\nb ", "ab"), (None, "", ""), (7, "7", "7"), ({"é": 1}, '{"é":1}', '{"é":1}')],
)
def test_anything_is_a_text(given: object, text: str, line: str) -> None:
    """Any value becomes text; a line has no line breaks."""
    assert (values.text(given), values.line(given)) == (text, line)


def test_pairs_are_written_in_three_ways() -> None:
    """Pairs are read as objects, as lists of two, and as one object; other values are skipped."""
    for given in ([{"name": "a", "value": 1}], [["a", 1]], {"a": 1}):
        assert [(name, value) for name, value, _ in values.pairs(given)] == [("a", 1)]
    assert list(values.pairs(7)) == list(values.pairs([["a"], ["a", "b", "c"]])) == []


def test_sizes_and_bodies() -> None:
    """Invalid sizes are unknown, and a plain string is a body."""
    assert [values.size(given) for given in (3, 0, -5, "3", None)] == [3, 0, -1, -1, -1]
    assert values.content("x") == {"text": "x"}
    assert values.content({"a": 1}) == {"a": 1}
    assert values.content([]) == {}
