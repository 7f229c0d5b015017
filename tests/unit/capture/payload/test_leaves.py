"""Replacing leaves in place."""

from __future__ import annotations

from akto_mirror.capture.payload.leaves import Change, splice


def test_splice_puts_changes_in() -> None:
    """Changes are applied in order; without any the bytes are the same."""
    assert splice(b"abcdef", [Change(1, 2, b"XX"), Change(4, 6, b"")]) == b"aXXcd"
    data = b"abc"
    assert splice(data, []) is data
