"""Counts of things in words."""

from __future__ import annotations

import pytest

from akto_mirror.counts import count, verb


@pytest.mark.parametrize(
    ("number", "thing", "text"),
    [
        (1, "entry", "1 entry"),
        (0, "entry", "0 entries"),
        (1000, "refused entry", "1,000 refused entries"),
        (2, "batch", "2 batches"),
        (2, "dead letter", "2 dead letters"),
    ],
)
def test_the_last_word_varies(number: int, thing: str, text: str) -> None:
    """Only the last word has a plural."""
    assert count(number, thing) == text


def test_a_verb_goes_with_its_number() -> None:
    """Zero takes the plural."""
    assert [verb(number, "waits") for number in (0, 1, 2)] == ["wait", "waits", "wait"]
