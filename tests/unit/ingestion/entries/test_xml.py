"""XML as values, read without a parser that would expand entities."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.ingestion.entries import shapes
from akto_mirror.ingestion.entries.shapes import Learner, Room, Shape
from akto_mirror.ingestion.entries.xml import MAX_TAGS, read_xml


def names(value: Any) -> set[str]:
    """Return the names of the fields of a value."""
    shape = Shape()
    Learner(Room(100_000, 100_000), lambda _: True).learn(shape, value)
    return {row.name for row, _ in shapes.rows(shape, 1)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a/>", {"a"}),
        ("<a b='1' c=\"2\"/>", {"a@b", "a@c"}),
        ("<a><b/><b/></a>", {"a/b[]"}),
        ("<a><!-- <c/> --><?php <d/> ?><b>1</b></a>", {"a/b"}),
        ("<a><b>1</b></nope></a>", {"a/b"}),
    ],
)
def test_elements_and_attributes_have_names(text: str, expected: set[str]) -> None:
    """Comments and processing instructions are skipped, and an end tag without a start tag is ignored."""
    assert names(read_xml(text)) == expected


@given(st.text("<>/ab='\"!-?[]CDAT ", max_size=60))
def test_any_text_is_read(text: str) -> None:
    """Any text is read without an error."""
    assert isinstance(read_xml(text), dict)


@pytest.mark.parametrize("text", ["<a>" * 50_000, "<!--" * 50_000, "<a b='" * 30_000, "<" * 200_000])
def test_hostile_text_costs_little(text: str) -> None:
    """Tags are read up to a bound at any depth, and unclosed ones are searched once."""
    begun = time.process_time()
    read_xml(text)
    assert time.process_time() - begun < 1
    assert MAX_TAGS < 50_000
