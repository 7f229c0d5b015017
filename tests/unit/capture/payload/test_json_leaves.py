"""The leaves of JSON."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload.json_leaves import leaves, quoted, text_of
from akto_mirror.capture.payload.leaves import Change, splice
from tests.support.texts import json_texts, path


def listed(text: str) -> list[tuple[tuple[str, ...], str]]:
    """Return the paths and texts of the leaves."""
    data = text.encode()
    return [(path(leaf.place), data[leaf.start : leaf.end].decode()) for leaf in leaves(data)]


def test_leaves_have_the_names_around_them() -> None:
    """A leaf has the enclosing names; duplicate names are both kept, and elements have their array's name."""
    assert listed('{"a": "x", "a":{"b" : [1.0e5, "y", {"\\u0063":null}]}, "d":[]}') == [
        (("a",), '"x"'),
        (("a", "b"), "1.0e5"),
        (("a", "b"), '"y"'),
        (("a", "b", "c"), "null"),
    ]


def test_siblings_share_a_holder() -> None:
    """Siblings have the same holder, so that pairs of a name and a value are found."""
    found = list(leaves(b'[["authorization","Bearer x"],{"name":"token","value":"y"}]'))
    assert [leaf.holder for leaf in found] == [1, 1, 30, 30]


def test_malformed_and_cut_texts_are_read_as_far_as_they_go() -> None:
    """Malformed and cut texts raise no error, and values are still found."""
    assert listed('{"a":"x","pass":"hunt') == [(("a",), '"x"'), (("pass",), '"hunt')]
    assert listed('}]{"a":1}{"b":2') == [(("a",), "1"), (("b",), "2")]
    assert listed('{"a":"x\\') == [(("a",), '"x\\')]


def flattened(value: Any, names: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """List leaves as the standard library's parser finds them; objects are lists of pairs."""
    if isinstance(value, tuple):
        return [leaf for name, inner in value for leaf in flattened(inner, (*names, name))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in flattened(inner, names)]
    return [(names, value)]


@given(json_texts)
def test_any_json(text: str) -> None:
    """The leaves are those that a parser finds, in order and with the same values."""
    expected = flattened(json.loads(text, object_pairs_hook=tuple))
    found = [(names, json.loads(raw)) for names, raw in listed(text)]
    assert [names for names, _ in found] == [names for names, _ in expected]
    assert all(one == other or one != one for (_, one), (_, other) in zip(found, expected, strict=True))  # noqa: PLR0124 - NaN


@given(json_texts)
def test_only_what_changed_is_rewritten(text: str) -> None:
    """Strings are replaced in place, and everything around them is unchanged."""
    data = text.encode()
    strings = [leaf for leaf in leaves(data) if data[leaf.start] == ord('"')]
    assert splice(data, [Change(leaf.start, leaf.end, data[leaf.start : leaf.end]) for leaf in strings]) == data
    hidden = splice(data, [Change(leaf.start, leaf.end, quoted("[é]")) for leaf in strings])
    again = flattened(json.loads(hidden, object_pairs_hook=tuple))
    assert [value for _, value in again if isinstance(value, str)] == ["[é]"] * len(strings)


@given(st.text())
def test_texts_come_back(text: str) -> None:
    """A text that is quoted and read again is unchanged."""
    assert text_of(quoted(text)) == text


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Spans are in order and inside the data, whatever it is."""
    end = 0
    for leaf in leaves(data):
        assert end <= leaf.start <= leaf.end <= len(data)
        end = leaf.end


def test_the_work_is_linear() -> None:
    """Nesting, escapes and unterminated text cost no more than other text."""
    start = time.thread_time()
    pieces = (b'{"a":', b'"\\', b'"a" ')
    longest = (b'["' + b"\\n" * 250_000, b'"a"' + b" " * 500_000)
    for data in (*(piece * (500_000 // len(piece)) for piece in pieces), *longest):
        sum(1 for _ in leaves(data))
    assert time.thread_time() - start < 15
