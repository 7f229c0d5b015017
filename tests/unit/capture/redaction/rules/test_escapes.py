"""Escapes, and the beginning of a value after them."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.redaction.rules.escapes import blanked, unquoted


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
    """An escape becomes as many blanks as it has characters, so that positions stay the same."""
    assert blanked(text) == expected


@given(st.text("\\%un0a25 \"'").map(str.encode))
def test_the_length_stays(text: bytes) -> None:
    """The length of the text never changes."""
    assert len(blanked(text)) == len(text)


PIECES = [b"%", b"4", b"f", b"%41", b"%e2", b"+", b"\\", b"\\x41", b"\xff", b"z"]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_percent_encoding_is_read_as_python_reads_it(text: bytes) -> None:
    """Percent escapes, invalid ones and backslashes are read as Python reads them."""
    assert unquoted(text) == unquote_to_bytes(text.replace(b"+", b" "))
