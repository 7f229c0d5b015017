"""Separators between names and values."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction import separators


@pytest.mark.parametrize("name", [rb"p\u0061ss", rb"p\x61ss", rb"\\p\141ss", b"pass"])
def test_names_without_escapes(name: bytes) -> None:
    """Numeric escapes of JSON, C and shells are decoded."""
    assert separators.unescaped(name) == b"pass"


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" abcdefgh1 x", True), (" abcdEFGH.", True), (" authentication", False), (' resource_1="x"', False)],
)
def test_tokens_behind_schemes(text: str, expected: bool) -> None:
    """Words and parameters of a challenge are not tokens."""
    assert (separators.AFTER_SCHEME.match(text.encode()) is not None) is expected


@pytest.mark.parametrize(("text", "value"), [(", x y ]", b"x y "), (", x, y]", None), (', "x"]', None), ("]", None)])
def test_pairs_in_brackets(text: str, value: bytes | None) -> None:
    """Only lists of exactly two items are pairs."""
    found = separators.AFTER_ITEM.match(text.encode())
    assert (found[1] if found else None) == value
