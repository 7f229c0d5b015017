"""Checks below HTTP: name resolution, connections, certificates, and the protocol of a port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from akto_mirror.ingestion.service import Receiver
from tests.support.checking import Check, make_certificate, talking
from tests.support.environment import has_ipv6


def test_a_port_where_nothing_listens_is_reported(check: Check) -> None:
    """A refused connection names the port, and Akto's default port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        outcome = check(f"http://127.0.0.1:{port}")
    assert outcome.marks == ["✓ resolve", "✗ connect"]
    assert f"port {port}" in outcome.out
    assert "9091" in outcome.out


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_an_ipv6_address_is_shown_in_brackets(check: Check) -> None:
    """The step shows where it has connected."""
    with Receiver(host="::1") as server:
        outcome = check(server.url)
    assert outcome.code == 0
    assert f"[::1]:{server.port}\n" in outcome.out


def test_an_unknown_host_is_reported(check: Check) -> None:
    """A name that cannot be resolved ends the check; `.invalid` never resolves (RFC 2606)."""
    outcome = check("http://akto.invalid", "--timeout", "50")
    assert (outcome.code, outcome.marks) == (1, ["✗ resolve"])
    assert "akto.invalid is not known" in outcome.out


def test_a_trusted_certificate_passes(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is trusted by SSL_CERT_FILE passes."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    with Receiver(host="localhost", ssl_context=certificate.context) as server:
        outcome = check(server.url, "--send")
        assert len(server.entries) == 1
    assert outcome.code == 0
    assert outcome.marks[2] == "✓ TLS"


@pytest.mark.parametrize(
    ("name", "days", "host", "trusted", "finding", "hint"),
    [
        ("localhost", 30, "localhost", False, "self-signed", "SSL_CERT_FILE"),
        ("localhost", -1, "localhost", True, "has expired", "renew"),
        ("localhost", 70, "localhost", True, "not valid yet", "clock"),
        ("other.example", 30, "localhost", True, "for another host", "host name"),
        ("other.example", 30, "127.0.0.1", True, "for another address", "host name"),
    ],
)
def test_a_certificate_that_cannot_be_trusted_is_reported(  # noqa: PLR0917 - pytest passes by name
    name: str,
    days: int,
    host: str,
    trusted: bool,
    finding: str,
    hint: str,
    check: Check,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS is always verified; each defect of a certificate has its own text, and no request is sent."""
    certificate = make_certificate(tmp_path, name=name, days=days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    with Receiver(host=host, ssl_context=certificate.context) as server:
        outcome = check(server.url, "--send")
        assert server.entries == []
    assert (outcome.code, outcome.marks) == (1, ["✓ resolve", "✓ connect", "✗ TLS"])
    assert finding in outcome.out
    assert hint in outcome.out


def test_https_for_a_plain_port_is_reported(check: Check) -> None:
    """A TLS connection to a port that speaks plain HTTP suggests http://."""
    with Receiver() as server:
        outcome = check(server.url.replace("http:", "https:"), "--timeout", "4")
    assert (outcome.code, outcome.marks[-1]) == (1, "✗ TLS")
    assert "write http://" in outcome.out


def test_https_for_a_port_that_speaks_neither_is_reported(check: Check) -> None:
    """A TLS connection to a port that speaks neither TLS nor HTTP is reported as the wrong port."""
    with talking(lambda connection, _: connection.sendall(b"220 mail.example ESMTP\r\n")) as url:
        outcome = check(url.replace("http:", "https:"))
    assert outcome.marks[-1] == "✗ TLS"
    assert "no TLS on this port" in outcome.out


def test_a_unix_socket_is_connected_to(check: Check, tmp_path: Path) -> None:
    """With --uds the check connects to the socket, and the host is not resolved."""
    path = tmp_path / "akto.sock"
    with Receiver(uds=path) as server:
        outcome = check("http://akto.invalid", "--uds", str(path), "--send")
        assert len(server.entries) == 1
    assert (outcome.code, outcome.marks[0]) == (0, "✓ connect")


def test_a_missing_unix_socket_is_reported(check: Check, tmp_path: Path) -> None:
    """A missing socket fails the first step."""
    outcome = check("http://akto.invalid", "--uds", str(tmp_path / "none.sock"))
    assert (outcome.code, outcome.marks) == (1, ["✗ connect"])
    assert "No such file" in outcome.out
