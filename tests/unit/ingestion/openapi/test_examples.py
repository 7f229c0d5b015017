"""Examples out of samples: short, and without sensitive values."""

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
    """None where there is nothing to show."""
    assert example(text, form) == shown


def test_long_and_deep_values_are_shortened() -> None:
    """Lists to their first items, texts to their beginning, and what is far inside to nothing."""
    assert trimmed([1, 2, 3, 4]) == [1, 2, 3, 4][:MAX_ITEMS]
    assert len(trimmed("x y " * 1000)) == MAX_TEXT_CHARS
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    assert str(trimmed(deep)).count("[") < 20
