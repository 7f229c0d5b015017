"""Results of the HTTP sink name the address and the cause, and never the token."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.delivery.sinks.symptoms import Cause, Kind
from tests.faults.driver import Clock
from tests.faults.server import FaultServer, Reply, status
from tests.support.certs import make_identity

TOKEN = 's3cr3t"TOK'


class _Quotes(RequestHandler):
    def post(self) -> None:
        self.set_status(500)
        self.finish(json.dumps({"got": self.request.headers["authorization"]}))


def test_a_token_that_is_answered_escaped_is_hidden() -> None:
    """A token that the service quotes in JSON is hidden."""
    with BackgroundServer(Application([("/", _Quotes)], log_function=lambda _: None)) as server:
        answer = HttpSink(f"{server.url}/", token=TOKEN).send([b"{}"], 10).answer
    assert answer == '500 {"got": "(token)"}'


def test_http_on_a_tls_port_has_a_remedy(tmp_path: Path) -> None:
    """A TLS port closes the connection without an answer; the remedy suggests https://."""
    with BackgroundServer(Application([]), ssl_context=make_identity(tmp_path).server_context()) as server:
        result = HttpSink(server.url.replace("https:", "http:")).send([b"{}"], 10)
    assert result.status is None
    assert "write https://" in result.explained


def test_what_cannot_be_connected_to_is_named() -> None:
    """The detail names the host or port that cannot be reached."""
    unknown = HttpSink("http://no-such.invalid:9091/x").send([b"{}"], 10)
    assert unknown.detail.startswith("ConnectError at no-such.invalid:9091: ")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        refused = HttpSink(f"http://127.0.0.1:{port}/x").send([b"{}"], 10)
    assert refused.detail.startswith(f"ConnectError at 127.0.0.1:{port}: ")
    assert refused.why is Cause.NOTHING_LISTENS
    assert "nothing listens there" in refused.explained


def test_what_was_sent_and_not_answered_may_arrive_twice() -> None:
    """Only entries that were sent and not answered are in doubt."""
    with FaultServer(Reply(status=None)) as server:
        to = HttpSink(f"{server.url}/x")
        assert to.send([b'{"path":"/"}'] * 3, 10).doubtful == 3
        server.script = Reply(status=503)
        assert to.send([b'{"path":"/"}'], 10).doubtful == 0
    assert to.send([b'{"path":"/"}'], 10).doubtful == 0


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
def test_an_unknown_host_has_its_own_cause(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any error of name resolution, in any language, has the host name as its cause."""

    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(number, "unbekannter Name")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    assert HttpSink("http://h:1/x").send([b"{}"], 10).why is Cause.UNKNOWN_HOST


@pytest.mark.parametrize(
    ("token", "cause"),
    [("", Cause.TOKEN_MISSING), ("Bearer x", Cause.TOKEN_BEARER), ("x", Cause.TOKEN)],
)
def test_a_token_that_is_refused(token: str, cause: Cause) -> None:
    """A refused token, a missing one, and one with a superfluous Bearer have different causes."""
    with FaultServer(status(401)) as akto:
        assert HttpSink(akto.url, token=token).send([b"{}"], 10).why is cause


def test_https_to_a_port_without_tls() -> None:
    """TLS to a server that speaks plain HTTP, or that sends nothing, fails with a cause."""
    with FaultServer() as akto:
        url = akto.url.replace("http:", "https:")
        assert HttpSink(url).send([b"{}"], 0.5).why in (Cause.NO_TLS, Cause.TLS_FAILED)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        assert HttpSink(url).send([b"{}"], 0.3).why is Cause.NO_TLS


def test_an_untrusted_certificate_has_its_own_cause(tmp_path: Path) -> None:
    """The cause is found by OpenSSL's error number."""
    with BackgroundServer(Application([]), ssl_context=make_identity(tmp_path).server_context()) as server:
        result = HttpSink(server.url).send([b"{}"], 10)
    assert result.why in (Cause.UNKNOWN_ISSUER, Cause.SELF_SIGNED)
    assert "SSL_CERT_FILE" in result.explained


@pytest.mark.parametrize(("code", "place"), [(300, ""), (302, ""), (304, ""), (301, "http://[")])
def test_a_redirect_to_nowhere_is_a_mistake_of_the_setup(code: int, place: str) -> None:
    """A redirect without a valid `Location` is a setup error with the status's remedy."""
    with FaultServer(Reply(code, [("Location", place)] if place else [], b"")) as akto:
        result = HttpSink(akto.url).send([b"{}"], 10)
    assert result.answer == f"{code} to {place or 'a place that it does not name'}"
    assert result.kind is Kind.SETUP
    assert "final URL" in result.explained


class _Cookies(RequestHandler):
    seen: list[str]

    def initialize(self, seen: list[str]) -> None:
        self.seen = seen

    def post(self) -> None:
        self.seen.append(self.request.headers.get("cookie", ""))
        self.set_cookie(f"c{len(self.seen)}", "x")
        self.finish({"success": True})

    get = post


def test_no_cookie_is_kept() -> None:
    """Cookies are not kept: otherwise, new ones could make requests grow until they are refused."""
    seen: list[str] = []
    with BackgroundServer(Application([("/.*", _Cookies, {"seen": seen})], log_function=lambda _: None)) as server:
        sink = HttpSink(f"{server.url}/api/ingestData")
        assert [sink.send([b"{}"], 10).status, sink.is_healthy(10), sink.send([b"{}"], 10).status] == [200, True, 200]
    assert seen == ["", "", ""]


def test_dead_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time-out is for all addresses of a name together, and each of them gets a share."""
    clock, waits = Clock(), list[tuple[str, float]]()

    def connect(address: tuple[str, int], timeout: float, **_: object) -> NoReturn:
        waits.append((address[0], timeout))
        clock.now += timeout if address[0] != "10.0.0.2" else 0
        raise TimeoutError("timed out")

    found = [(0, 0, 0, "", (f"10.0.0.{number}", 9)) for number in range(1, 5)]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("socket.create_connection", connect)
    monkeypatch.setattr("akto_mirror.delivery.sinks.transport.time", SimpleNamespace(monotonic=lambda: clock.now))
    assert HttpSink("http://four.example:9/").send([b"{}"], 6).detail == "ConnectTimeout: timed out"
    assert waits == [("10.0.0.1", 1.5), ("10.0.0.2", 1.5), ("10.0.0.3", 2.25), ("10.0.0.4", 2.25)]
