"""Card numbers."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction.rules import cards


@pytest.mark.parametrize("text", [b"4111111111111111", b"4111%201111%201111%201111", b"3782 822463 10005"])
def test_candidates(text: bytes) -> None:
    """Candidates are digits without separators or in groups."""
    assert list(cards.candidates(b"x " + text)) == [(2, 2 + len(text))]
    assert cards.is_card(text, 0, len(text))


@pytest.mark.parametrize(
    ("before", "after"), [(b"1", b""), (b"a", b""), (b"_", b""), (b"0.", b""), (b"", b"1"), (b"", b".5"), (b"", b"-a")]
)
def test_neighbours(before: bytes, after: bytes) -> None:
    """A part of another number, word or identifier is not a card number."""
    text = before + b"4111111111111111" + after
    assert not any(cards.is_card(text, *span) for span in cards.candidates(text))


@pytest.mark.parametrize(
    ("digits", "expected"),
    [(b"4" + b"1" * 15, True), (b"1" * 16, False), (b"4" * 14, False), (b"34" + b"0" * 13, True)],
)
def test_issuers(digits: bytes, expected: bool) -> None:
    """Issuers are recognised by the first digits and the length."""
    assert cards.has_issuer(digits) is expected
