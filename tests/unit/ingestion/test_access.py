"""Host names that mean this machine."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.access import is_loopback


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_names_of_this_machine(host: str) -> None:
    """Names by RFC 6761 and loopback addresses are recognised."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example", "xlocalhost", "127.1"]
)
def test_other_names(host: str) -> None:
    """Other names are not local, even if a web site lets its name resolve to 127.0.0.1."""
    assert not is_loopback(host)
