"""The tail of a text, from a comma or bracket on."""

from __future__ import annotations

import pytest

from akto_mirror.capture.payload.json_tokens import Tail


@pytest.mark.parametrize(
    ("head", "start", "stack", "closed"),
    [
        (b'{"a":[1,2,3', 7, b"{[", b'{"a":[1,2]}'),
        (b'{"a":[1,2,3', 5, b"{", b'{"a":[1,2]}'),
        (b'[{"a":1},', 8, b"[", b'[{"a":1}]'),
        (b"[1,:", 2, b"[", None),
        (b"[1}", 0, b"", None),
    ],
)
def test_tokens_are_read_from_a_place_on(head: bytes, start: int, stack: bytes, closed: bytes | None) -> None:
    """The open brackets at the position are given; an invalid token ends the reading."""
    assert Tail(head, 100, start, stack).closed() == closed
