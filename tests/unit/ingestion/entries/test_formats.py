"""Formats of strings, by their names in JSON Schema."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.entries.formats import format_of
from tests.support.entries import UUID


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (UUID, "uuid"), (UUID.upper(), "uuid"), ("2024-02-29T23:59:59Z", "date-time"),
        ("2024-02-29t23:59:59.123+01:00", "date-time"), ("2024-02-29", "date"), ("192.168.1.255", "ipv4"),
        ("ann.b+c@mail.example.com", "email"), ("https://a.example/x?y=1#z", "uri"), ("fe80::1", "ipv6"),
        ("2001:db8::192.0.2.1", ""), ("::1", "ipv6"),
        ("2024-13-01", ""), ("2024-02-29 23:59:59", ""), ("2024-02-29T23:59:59", ""), ("256.1.1.1", ""), ("1.2.3", ""),
        ("ann@localhost", ""), ("a@b@c.d", ""), ("https://", ""), ("https://a b", ""), ("10:20", ""), ("dead:beef", ""),
        ("", ""), ("lamp", ""), ("17", ""), (UUID + "x", ""), ("x" * 5_000, ""), ("a@" + "b." * 2_000 + "c", ""),
    ],
)  # fmt: skip
def test_formats(text: str, name: str) -> None:
    """A string has a format only if a validator of JSON Schema would accept it."""
    assert format_of(text) == name
