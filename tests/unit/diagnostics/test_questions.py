"""Requests of a check over HTTP, and problems with the answers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from akto_mirror.diagnostics import questions
from akto_mirror.ingestion.service import Receiver
from tests.support.checking import TOKEN, Check, answering, make_certificate, talking


def test_the_test_entry_is_sent_only_if_asked_for_and_is_marked(check: Check) -> None:
    """With --send one entry arrives, with a path and a host that no real traffic has."""
    with Receiver(token=TOKEN) as server:
        outcome = check(server.url, "--send", "--token", TOKEN)
        [entry] = server.entries
    assert outcome.code == 0
    assert outcome.marks[-1] == "✓ test entry"
    assert entry["path"] == questions.TEST_PATH
    assert questions.TEST_HOST in entry["requestHeaders"]
    assert questions.TEST_PATH in outcome.out


@pytest.mark.parametrize(
    ("token", "hint"),
    [("", "AKTO_API_TOKEN"), ("wrong", "complete"), (f"Bearer {TOKEN}", "without Bearer")],
    ids=["none", "wrong", "bearer"],
)
def test_a_refused_token_is_not_a_missing_one(check: Check, token: str, hint: str) -> None:
    """On 401 the hint says whether the token is missing, is wrong, or has a superfluous Bearer."""
    with Receiver(token=TOKEN) as server:
        outcome = check(server.url, "--token", token, "--send")
        assert server.entries == []
    assert outcome.code == 1
    assert outcome.marks[2:] == ["✓ /healthCheck", "✗ /api/auth-check", "✗ test entry"]
    assert hint in outcome.out


def test_a_server_that_answers_without_end_is_read_only_so_far(check: Check) -> None:
    """Of an endless body only a prefix is read, which is not Akto's answer."""

    def flood(connection: socket.socket, ended: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not ended.is_set():
            connection.sendall(b"x" * 65_536)

    with talking(flood) as url:
        assert "not Akto's answer" in check(url).out


def test_something_that_is_not_an_http_server_is_reported(check: Check) -> None:
    """Another protocol on the port is named as the likely cause."""
    with talking(lambda connection, _: connection.sendall(b"220 mail.example ESMTP\r\n")) as url:
        outcome = check(url)
    assert outcome.marks[2] == "✗ /healthCheck"
    assert "no HTTP answer" in outcome.out


def test_http_for_a_tls_port_is_reported(check: Check, tmp_path: Path) -> None:
    """Plain HTTP to a TLS port suggests https://, whether its certificate is trusted or not."""
    certificate = make_certificate(tmp_path)
    with Receiver(ssl_context=certificate.context) as server:
        outcome = check(server.url.replace("https:", "http:"))
    assert (outcome.code, outcome.marks[2:]) == (1, ["✗ /healthCheck"])
    assert "write https://" in outcome.out


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_http_for_the_tls_port_of_nginx_is_reported(check: Check, tmp_path: Path) -> None:
    """Nginx answers plain HTTP on a TLS port with 400; this suggests https:// too."""
    make_certificate(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}} http {{ access_log off; server {{"
        f" listen 127.0.0.1:{port} ssl; ssl_certificate {tmp_path}/localhost.pem;"
        f" ssl_certificate_key {tmp_path}/localhost.key; }} }}"
    )
    nginx = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(port, nginx)
        outcome = check(f"http://127.0.0.1:{port}")
    finally:
        nginx.terminate()
        nginx.wait()
    assert outcome.marks[2:] == ["✗ /healthCheck"]
    assert "write https://" in outcome.out


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process accepts connections."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    pytest.fail("the server has ended")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 418, 422, 429, 500, 502, 503, 504])
def test_every_other_status_fails_with_a_hint(check: Check, status: int) -> None:
    """A status other than 200 fails each step, with a hint."""
    with answering(status) as url:
        outcome = check(url, "--send", "--token", TOKEN, "--timeout", "4")
    assert outcome.code == 1
    assert outcome.marks[2:] == ["✗ /healthCheck", "✗ /api/auth-check", "✗ test entry"]
    assert outcome.out.count("→") == 3
    assert outcome.out.count(f"{status}, ") == 3


def test_a_redirect_is_not_followed(check: Check) -> None:
    """The redirect's target is shown without the token, and the hint asks for the final URL."""
    with answering(302, location=f"https://login.example/?next={TOKEN}") as url:
        outcome = check(url, "--token", TOKEN)
    assert "a redirect to https://login.example/?next=(token)" in outcome.out
    assert "final URL" in outcome.out


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("<!doctype html><title>Dashboard</title>", "not Akto's answer"),
        ("", "not Akto's answer"),
        ("[]", "not Akto's answer"),
        ('{"success":false}', "the answer reports a failure"),
    ],
)
def test_a_200_of_something_else_is_reported(check: Check, body: str, what: str) -> None:
    """A server that answers 200 to everything is not taken for Akto."""
    with answering(200, body) as url:
        outcome = check(url)
    assert outcome.marks[2:] == ["✗ /healthCheck", "✗ /api/auth-check"]
    assert what in outcome.out


def test_a_hostile_answer_cannot_forge_a_line(check: Check) -> None:
    """Answers are escaped when they are shown."""

    def talk(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 302 x\r\nlocation: \x1b[2J\xe2\x80\xae\r\ncontent-length: 0\r\n\r\n")

    with talking(talk) as url:
        out = check(url).out
    assert "\x1b" not in out
    assert "\u202e" not in out
