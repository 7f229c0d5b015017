"""A server on a thread: its addresses, its bound on connections and its end."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import httpx
import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer


class Hello(RequestHandler):
    """Handler of the only page."""

    def get(self) -> None:
        """Answer with a constant text."""
        self.finish("hello")


def app() -> Application:
    """Return an application with one page."""
    return Application([("/", Hello)], log_function=lambda _: None)


def ask(server: BackgroundServer) -> str:
    """Return the text of the server's page."""
    transport = httpx.HTTPTransport(uds=str(server.uds)) if server.uds else None
    with httpx.Client(transport=transport, trust_env=False) as client:
        return client.get(server.url).text


def test_a_free_port_is_kept_over_a_restart() -> None:
    """The port stays the same after a restart, and the thread ends in between."""
    server = BackgroundServer(app())
    before = threading.active_count()
    ports = []
    for _ in range(2):
        with server:
            assert ask(server) == "hello"
            ports.append(server.port)
        assert threading.active_count() == before
    assert ports[0] == ports[1] > 0
    server.stop()


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    """A server on a Unix socket has a URL with a made-up host, and removes its socket when it stops."""
    with BackgroundServer(app(), uds=tmp_path / "s") as server:
        assert server.url == "http://localhost"
        assert ask(server) == "hello"
    assert not (tmp_path / "s").exists()


def test_sockets_may_be_opened_by_the_caller() -> None:
    """The caller may open the sockets, as several processes that share them do."""
    opened: list[socket.socket] = []

    def bind(host: str, port: int) -> list[socket.socket]:
        opened.extend(bind_sockets(port, host))
        return opened

    with BackgroundServer(app(), bind=bind) as server:
        assert ask(server) == "hello"
    assert len(opened) == 1


def test_a_crowd_is_closed_at_once() -> None:
    """Connections beyond the bound are closed at once, without a response."""
    with BackgroundServer(app(), max_clients=1) as server, socket.create_connection(("127.0.0.1", server.port)) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert one.recv(100).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", server.port), 30) as two:
            assert two.recv(1) == b""


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:9"), ("::1", "http://[::1]:9")])
def test_the_address_of_a_host(host: str, url: str) -> None:
    """IPv6 addresses are in brackets in the URL."""
    assert BackgroundServer(app(), host=host, port=9).url == url
