"""What the sink tells of Akto's answers and of the network names the place and the mistake, and never the token."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tornado.web import Application, RequestHandler

from akto_mirror import retry
from akto_mirror.background import BackgroundServer
from akto_mirror.sinks.http import HttpSink
from tests.support.certs import make_identity

TOKEN = 's3cr3t"TOK'


class _Quotes(RequestHandler):
    def post(self) -> None:
        self.set_status(500)
        self.finish(json.dumps({"got": self.request.headers["authorization"]}))


def test_a_token_that_is_answered_escaped_is_not_told() -> None:
    """A service that quotes the token as JSON does not bring it into the log."""
    with BackgroundServer(Application([("/", _Quotes)], log_function=lambda _: None)) as server:
        told = HttpSink(f"{server.url}/", token=TOKEN).send([b"{}"], 10).told
    assert told == '500 {"got": "(token)"}'


def test_http_on_a_tls_port_is_told(tmp_path: Path) -> None:
    """A TLS port ends the connection without a word: the hint says what may be wrong."""
    with BackgroundServer(Application([]), ssl_context=make_identity(tmp_path).server_context()) as server:
        result = HttpSink(server.url.replace("https:", "http:")).send([b"{}"], 10)
    assert result.status is None
    assert "write https://" in retry.network_hint(result.detail)


def test_what_cannot_be_connected_to_is_named() -> None:
    """A line of the log tells the host or port that is wrong."""
    unknown = HttpSink("http://no-such.invalid:9091/x").send([b"{}"], 10)
    assert unknown.detail.startswith("ConnectError at no-such.invalid:9091: ")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        refused = HttpSink(f"http://127.0.0.1:{port}/x").send([b"{}"], 10)
    assert refused.detail.startswith(f"ConnectError at 127.0.0.1:{port}: ")
    assert "nothing listens there" in retry.network_hint(refused.detail)


def test_an_unknown_host_has_its_own_hint() -> None:
    """However the system words it, the name is what to look at."""
    for words in ("[Errno -2] Name or service not known", "[Errno 8] nodename nor servname provided, or not known"):
        assert "spelling of the host" in retry.network_hint(f"ConnectError at h:1: {words}")
