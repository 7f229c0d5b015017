"""Escapes, and where a value begins behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.redaction.rules.escapes import blanked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb"A=1\nghp_x", b"A=1  ghp_x"),
        (rb"A=1\\nghp_x\t", b"A=1\\  ghp_x  "),
        (rb"\u00e9ghp_x\/y\"", b'      ghp_x\\/y\\"'),
        (b"x%20ghp_x%0Ay", b"x   ghp_x   y"),
        (b"x%2520ghp_x", b"x     ghp_x"),
        (b"ann%40host ann%2540host", b"ann%40host ann%2540host"),
        (b"100% of %zz", b"100% of %zz"),
    ],
)
def test_blanks_stand_for_escapes(text: bytes, expected: bytes) -> None:
    """As many as the escape has characters, so that positions stay."""
    assert blanked(text) == expected


@given(st.text("\\%un0a25 \"'").map(str.encode))
def test_the_length_stays(text: bytes) -> None:
    """Whatever is in the text."""
    assert len(blanked(text)) == len(text)
