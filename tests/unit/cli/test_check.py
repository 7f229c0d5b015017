"""`akto-mirror check` finds what is wrong with the way to Akto, and says what to do."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from akto_mirror.cli import program, terminal
from akto_mirror.diagnostics import questions
from akto_mirror.ingestion.service import Receiver

TOKEN = "eyJ.secret.token"
DAY = datetime.timedelta(days=1)


class Certificate(NamedTuple):
    """A server's context and the file that a client has to trust."""

    context: ssl.SSLContext
    file: Path


def make_certificate(folder: Path, *, name: str = "localhost", days: int = 30) -> Certificate:
    """Make a self-signed certificate that is valid for this many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    end = datetime.datetime.now(datetime.UTC) + days * DAY
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), end - 60 * DAY, end)
        .add_extension(x509.SubjectAlternativeName(names if name == "localhost" else names[:1]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, folder / f"{name}.key")
    return Certificate(context, file)


class Outcome(NamedTuple):
    """What a run of `check` came to."""

    code: int
    out: str

    @property
    def marks(self) -> list[str]:
        """Each step on the way to Akto with its mark."""
        marks = [line.split("  ")[0].strip() for line in self.out.splitlines() if line[0] in "✓✗"]
        return [mark for mark in marks if mark != "✓ spool"]


Check = Callable[..., Outcome]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Run `akto-mirror check`; the token must never be shown, and nothing may go to standard error."""
    for name in (terminal.URL_VARIABLE, terminal.TOKEN_VARIABLE, "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv: str) -> Outcome:
        code = program.main(["check", *argv])
        out, err = capsys.readouterr()
        assert err == ""
        assert TOKEN not in out
        return Outcome(code, out)

    return run


@contextmanager
def answering(status: int, body: str = '{"success":true}', **headers: str) -> Iterator[str]:
    """Run a server that answers everything alike; yields its URL."""

    class Same(RequestHandler):
        def prepare(self) -> None:
            self.set_status(status)
            for name, value in headers.items():
                self.set_header(name, value)
            self.finish(body)

    with BackgroundServer(Application(default_handler_class=Same, log_function=lambda _: None)) as server:
        yield server.url


@contextmanager
def talking(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Run a bare TCP server that hands each connection to `talk`, with an event that is set at the end."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    talk(connection, ended)
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield "http://127.0.0.1:{}".format(*listener.getsockname()[1:])
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_service_that_is_well_passes_every_step(check: Check) -> None:
    """Each step is a line with ✓, the exit code is 0, and nothing is sent without --send."""
    with Receiver() as server:
        outcome = check(server.url)
        assert (outcome.code, server.entries) == (0, [])
    assert outcome.marks == ["✓ resolve", "✓ connect", "✓ /healthCheck", "✓ /api/auth-check"]
    assert "→" not in outcome.out


@pytest.mark.parametrize("path", ["", "/", "/api/ingestData"])
def test_the_url_is_that_of_the_option(check: Check, path: str) -> None:
    """With or without the path, the checks are looked for beside `/api/ingestData`."""
    with Receiver() as server:
        assert check(server.url + path).code == 0


def test_the_test_entry_is_sent_only_if_asked_for_and_is_marked(check: Check) -> None:
    """With --send one entry arrives, under a path and host that no real traffic has."""
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
    """A 401 says whether the token is missing, wrong, or has Bearer before it."""
    with Receiver(token=TOKEN) as server:
        outcome = check(server.url, "--token", token, "--send")
        assert server.entries == []
    assert outcome.code == 1
    assert outcome.marks[2:] == ["✓ /healthCheck", "✗ /api/auth-check", "✗ test entry"]
    assert hint in outcome.out


def test_a_port_where_nothing_listens_is_reported(check: Check) -> None:
    """A refused connection names the port and Akto's."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        outcome = check(f"http://127.0.0.1:{port}")
    assert outcome.marks == ["✓ resolve", "✗ connect"]
    assert f"port {port}" in outcome.out
    assert "9091" in outcome.out


def test_an_unknown_host_is_reported(check: Check) -> None:
    """A name that does not resolve ends the check there; `.invalid` never resolves (RFC 2606)."""
    outcome = check("http://akto.invalid", "--timeout", "50")
    assert (outcome.code, outcome.marks) == (1, ["✗ resolve"])
    assert "akto.invalid is not known" in outcome.out


def test_a_name_too_long_for_dns_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """A host that no resolver takes is no traceback."""
    assert program.main(["check", f"http://{'a' * 64}.example"]) == 2
    message = capsys.readouterr().err
    assert message.endswith("its host is not a host name\n")
    assert message.count("\n") == 1


def test_a_silent_server_is_given_up(check: Check) -> None:
    """A server that accepts and never answers fails within the time-out."""

    def wait(_: socket.socket, ended: threading.Event) -> None:
        ended.wait()

    with talking(wait) as url:
        outcome = check(url, "--timeout", "0.3")
    assert outcome.marks == ["✓ resolve", "✓ connect", "✗ /healthCheck", "✗ /api/auth-check"]
    assert "no answer within 0.3 s" in outcome.out


def drip(connection: socket.socket, ended: threading.Event) -> None:
    """Answer with one byte at a time, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-")
    while not ended.wait(0.05):
        connection.sendall(b"a")


def test_a_server_that_drips_is_given_up(check: Check) -> None:
    """The time-out bounds the step, not the wait for the next byte."""
    with talking(drip) as url:
        assert "no answer within 0.5 s" in check(url, "--timeout", "0.5").out


def test_a_server_that_answers_without_end_is_read_only_so_far(check: Check) -> None:
    """Of an endless body the beginning is read, and found to be none of Akto's."""

    def flood(connection: socket.socket, ended: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not ended.is_set():
            connection.sendall(b"x" * 65_536)

    with talking(flood) as url:
        assert "not Akto's answer" in check(url).out


def test_something_that_is_not_an_http_server_is_reported(check: Check) -> None:
    """Another protocol on the port is named as the likely mistake."""
    with talking(lambda connection, _: connection.sendall(b"220 mail.example ESMTP\r\n")) as url:
        outcome = check(url)
    assert outcome.marks[2] == "✗ /healthCheck"
    assert "no HTTP answer" in outcome.out


def test_a_trusted_certificate_passes(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its certificate in SSL_CERT_FILE, a service with a certificate of one's own passes."""
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
    """TLS is always verified; each fault of a certificate has its own words, and no request is made."""
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
    """https:// where plain HTTP is spoken suggests http://."""
    with Receiver() as server:
        outcome = check(server.url.replace("http:", "https:"))
    assert (outcome.code, outcome.marks[-1]) == (1, "✗ TLS")
    assert "write http://" in outcome.out


def test_https_for_a_port_that_speaks_neither_is_reported(check: Check) -> None:
    """A server that answers TLS with something else, and is no HTTP server, is on the wrong port."""
    with talking(lambda connection, _: connection.sendall(b"220 mail.example ESMTP\r\n")) as url:
        outcome = check(url.replace("http:", "https:"))
    assert outcome.marks[-1] == "✗ TLS"
    assert "no TLS on this port" in outcome.out


def test_http_for_a_tls_port_is_reported(check: Check, tmp_path: Path) -> None:
    """http:// where TLS is spoken suggests https://, trusted or not."""
    certificate = make_certificate(tmp_path)
    with Receiver(ssl_context=certificate.context) as server:
        outcome = check(server.url.replace("https:", "http:"))
    assert (outcome.code, outcome.marks[2:]) == (1, ["✗ /healthCheck"])
    assert "write https://" in outcome.out


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_http_for_the_tls_port_of_nginx_is_reported(check: Check, tmp_path: Path) -> None:
    """The web server nginx answers plain HTTP on a TLS port with a 400; that, too, suggests https://."""
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
    """A status other than 200 fails each step that meets it, with what to do."""
    with answering(status) as url:
        outcome = check(url, "--send", "--token", TOKEN)
    assert outcome.code == 1
    assert outcome.marks[2:] == ["✗ /healthCheck", "✗ /api/auth-check", "✗ test entry"]
    assert outcome.out.count("→") == 3
    assert outcome.out.count(f"{status}, ") == 3


def test_a_redirect_is_not_followed(check: Check) -> None:
    """A redirect is shown, without the token even if it is in there, and the final URL asked for."""
    with answering(302, location=f"https://login.example/?next={TOKEN}") as url:
        outcome = check(url, "--token", TOKEN)
    assert "a redirect to https://login.example/?next=(token)" in outcome.out
    assert "final URL" in outcome.out


@pytest.mark.parametrize("body", ["<!doctype html><title>Dashboard</title>", "", "[]", '{"success":false}'])
def test_a_200_of_something_else_is_reported(check: Check, body: str) -> None:
    """A page that answers 200 to everything is not taken for Akto."""
    with answering(200, body) as url:
        outcome = check(url)
    assert outcome.marks[2:] == ["✗ /healthCheck", "✗ /api/auth-check"]
    assert "not Akto's answer" in outcome.out


def test_a_hostile_answer_cannot_forge_a_line(check: Check) -> None:
    """What a server says is shown escaped."""

    def talk(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 302 x\r\nlocation: \x1b[2J\xe2\x80\xae\r\ncontent-length: 0\r\n\r\n")

    with talking(talk) as url:
        out = check(url).out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_a_unix_socket_is_connected_to(check: Check, tmp_path: Path) -> None:
    """With --uds the way leads through the socket, and the host need not resolve."""
    path = tmp_path / "akto.sock"
    with Receiver(uds=path) as server:
        outcome = check("http://akto.invalid", "--uds", str(path), "--send")
        assert len(server.entries) == 1
    assert (outcome.code, outcome.marks[0]) == (0, "✓ connect")


def test_a_missing_unix_socket_is_reported(check: Check, tmp_path: Path) -> None:
    """A socket that is not there fails the first step."""
    outcome = check("http://akto.invalid", "--uds", str(tmp_path / "none.sock"))
    assert (outcome.code, outcome.marks) == (1, ["✗ connect"])
    assert "No such file" in outcome.out


def test_proxies_of_the_environment_are_not_used(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addon goes straight to Akto, and so does the check."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Receiver() as server:
        assert check(server.url).code == 0
