"""Counts of things in words."""

from __future__ import annotations

import re

import pytest

from akto_mirror.counts import count, verb
from tests.support.rooms import MODULES

# A number before a plural, as in an f-string or a line of the log.
ALWAYS_PLURAL = re.compile(r"(?:%d|\}) (?:[a-z]+ )?(?:entries|batches|lines|endpoints|partitions|workers)\b")


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


def test_no_text_has_a_plural_for_every_number() -> None:
    """Texts with a number take its noun from here."""
    assert [name for name, path in MODULES.items() if ALWAYS_PLURAL.search(path.read_text("utf-8"))] == []
