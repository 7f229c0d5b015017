"""Examples from samples: short, and without sensitive values."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.openapi.examples import HIDDEN, MAX_CHARS, MAX_ITEMS, MAX_TEXT_CHARS, example, trimmed


@pytest.mark.parametrize(
    ("text", "form", "shown"),
    [
        ('{"a":1,"password":"x"}', "json", {"a": 1, "password": HIDDEN}),
        ("a=1&token=x", "form", {"a": "1", "token": HIDDEN}),
        ('{"mail":"ann@example.com"}', "json", {"mail": HIDDEN}),
        ("{", "json", None),
        ("<a/>", "xml", None),
        ("", "json", None),
        (f'"{"x" * MAX_CHARS}"', "json", None),
    ],
)
def test_an_example_is_a_payload_that_may_be_shown(text: str, form: str, shown: object) -> None:
    """Without a payload that can be shown, there is no example."""
    assert example(text, form) == shown


def test_long_and_deep_values_are_shortened() -> None:
    """Lists are cut to their first items, strings to a prefix, and deep values are left out."""
    assert trimmed([1, 2, 3, 4]) == [1, 2, 3, 4][:MAX_ITEMS]
    assert len(trimmed("x y " * 1000)) == MAX_TEXT_CHARS
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    assert str(trimmed(deep)).count("[") < 20
