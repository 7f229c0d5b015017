"""The URL of an entry."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.entries.urls import url_of
from tests.support.entries import entry


@pytest.mark.parametrize(
    ("host", "path", "url"),
    [
        ("shop.example", "/a?b=c", "https://shop.example/a?b=c"),
        ("shop.example:8443", "/", "https://shop.example:8443/"),
        ("shop.example:80", "/", "http://shop.example:80/"),
        ("localhost:3000", "/a", "http://localhost:3000/a"),
        ("[::1]:3000", "/a", "http://[::1]:3000/a"),
        ("", "*", "http://localhost/*"),
        ("a@b/c?d#e f", "/a b", "https://a%40b%2Fc%3Fd%23e%20f/a%20b"),
    ],
)
def test_urls(host: str, path: str, url: str) -> None:
    """The scheme is guessed, and characters of a hostile host are encoded."""
    assert url_of(entry(path, host=host)) == url
