"""The server that is checked."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from akto_mirror.delivery.sinks.symptoms import Cause
from akto_mirror.diagnostics.target import CheckError, Target, open_socket, reason


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://h", "h", 80, False),
        ("https://h", "h", 443, True),
        ("https://[::1]:8443/own", "::1", 8443, True),
    ],
)
def test_a_url_has_a_host_and_a_port(url: str, host: str, port: int, tls: bool) -> None:
    """The default port is the scheme's."""
    target = Target(url)
    assert (target.host, target.port, target.tls) == (host, port, tls)


def test_checks_are_beside_where_entries_go() -> None:
    """Checks are requested beside the shipper's path, and the token is not in the repr."""
    target = Target("http://h:1", token="hunter2")
    assert target.ingest_url == "http://h:1/api/ingestData"
    assert target.beside("/healthCheck") == "http://h:1/healthCheck"
    assert target.secrets == ("hunter2",)
    assert "hunter2" not in repr(target)


@pytest.mark.parametrize("url", ["", "file:///tmp/x", "kafka://b", "ftp://h"])
def test_other_addresses_cannot_be_asked(url: str) -> None:
    """Addresses without an HTTP server are refused."""
    with pytest.raises(ValueError, match=r"only http|must begin with"):
        Target(url)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names the port or the socket on which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(CheckError) as failed:
            open_socket(Target(f"http://127.0.0.1:{port}"))
        assert (failed.value.cause, failed.value.detail) == (Cause.NOTHING_LISTENS, f"nothing listens on port {port}")
    with pytest.raises(CheckError, match="No such file"):
        open_socket(Target("http://h", uds=str(tmp_path / "none")))


def test_an_error_is_its_text() -> None:
    """The reason is the error's text without the number, or the type's name if it has no text."""
    assert reason(ConnectionRefusedError(111, "Connection refused")) == "Connection refused"
    assert reason(ValueError("odd")) == "odd"
    assert reason(TimeoutError()) == "TimeoutError"
    ends = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends[0].write(b"220 mail.example ESMTP\r\n")
    with pytest.raises(ssl.SSLError) as failed:
        ssl.create_default_context().wrap_bio(*ends, server_hostname="h").do_handshake()
    assert reason(failed.value) in ("wrong version number", "record layer failure")
