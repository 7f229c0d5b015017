"""Accepted and refused WebSocket upgrades through mitmdump, between real peers."""

from __future__ import annotations

import asyncio
import http
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h2.events
import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from websockets.asyncio import client as aio_client
from websockets.asyncio import server as aio_server
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.support.certs import Identity, make_identity
from tests.support.mirror import Entry, Mirror, headers, mirroring, trust_proxy
from tests.support.proxy import DEADLINE

pytestmark = [pytest.mark.e2e, pytest.mark.oldest]

FENCE = "/fence"
CHAT = Subprotocol("chat")
SERVED = "/served"
REFUSALS = {"/refused-403": 403, "/refused-404": 404, "/refused-500": 500}


def echo(connection: ServerConnection) -> None:
    """Send every message back."""
    for message in connection:
        connection.send(message)


def answer(connection: ServerConnection, request: Request) -> Response | None:
    """Refuse some paths, answer the fence with JSON, and accept all other upgrades."""
    status = 200 if request.path in (FENCE, SERVED) else REFUSALS.get(request.path)
    if status is None:
        return None
    response = connection.respond(http.HTTPStatus(status), json.dumps({"status": status}))
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json" if request.path == FENCE else "text/plain"
    return response


def choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose the subprotocol, if the client offers it."""
    return CHAT if CHAT in offered else None


@contextmanager
def serving_websockets(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a free port, which is yielded."""
    server = serve(
        echo, "127.0.0.1", 0, ssl=context, process_request=answer, subprotocols=[CHAT], select_subprotocol=choose
    )
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.socket.getsockname()[1]


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    """Run a target and mitmdump with the addon in front of it."""
    with serving_websockets() as port, mirroring(f"reverse:http://127.0.0.1:{port}") as running:
        yield running


def the_entry(mirror: Mirror, path: str) -> Entry:
    """Return the one entry of a path, after checking that no second one follows: entries are sent in order."""
    before = len(mirror.entries(FENCE, 0))
    httpx.get(mirror.proxy.url + FENCE, timeout=DEADLINE, trust_env=False).raise_for_status()
    mirror.entries(FENCE, before + 1)
    return mirror.entry(path)


def address(mirror: Mirror, path: str) -> str:
    """Return a WebSocket's address."""
    return f"ws://127.0.0.1:{mirror.proxy.port}{path}"


def test_accepted(mirror: Mirror) -> None:
    """An accepted upgrade passes messages both ways, and is mirrored once, while it is open, without payloads."""
    with connect(address(mirror, "/accepted?room=1"), proxy=None) as socket:
        for message in ("text", b"\x00\xff", "x" * 200_000):
            socket.send(message)
            assert socket.recv(DEADLINE) == message
        during = the_entry(mirror, "/accepted?room=1")
    entry = the_entry(mirror, "/accepted?room=1")
    assert entry == during
    assert (entry["type"], entry["statusCode"], entry["status"]) == ("WebSocket", "101", "Switching Protocols")
    assert entry["requestPayload"] == entry["responsePayload"] == ""
    assert headers(entry, "requestHeaders")["upgrade"] == "websocket"
    assert headers(entry, "requestHeaders")["host"] == f"127.0.0.1:{mirror.proxy.port}"


@pytest.mark.parametrize("path", REFUSALS)
def test_refused(mirror: Mirror, path: str) -> None:
    """A refused upgrade gives the client the target's response, and is mirrored once, as an ordinary exchange."""
    with pytest.raises(InvalidStatus) as caught, connect(address(mirror, path), proxy=None):
        pytest.fail("the upgrade was accepted")
    assert caught.value.response.status_code == REFUSALS[path]
    assert json.loads(caught.value.response.body or b"") == {"status": REFUSALS[path]}
    entry = the_entry(mirror, path)
    assert (entry["type"], entry["statusCode"]) == ("HTTP/1.1", str(REFUSALS[path]))
    assert json.loads(entry["responsePayload"]) == {"status": REFUSALS[path]}


def test_ignored(mirror: Mirror) -> None:
    """An upgrade that the target ignores and answers with 200 is mirrored as an ordinary exchange."""
    with pytest.raises(InvalidStatus), connect(address(mirror, SERVED), proxy=None):
        pytest.fail("the upgrade was accepted")
    entry = the_entry(mirror, SERVED)
    assert (entry["type"], entry["statusCode"]) == ("HTTP/1.1", "200")
    assert json.loads(entry["responsePayload"]) == {"status": 200}


def test_subprotocol(mirror: Mirror) -> None:
    """The subprotocols that the client offers, and the one that the target chooses, pass and are mirrored."""
    offered = [Subprotocol("other"), CHAT]
    with connect(address(mirror, "/protocol"), subprotocols=offered, proxy=None) as socket:
        assert socket.subprotocol == "chat"
    entry = the_entry(mirror, "/protocol")
    assert headers(entry, "requestHeaders")["sec-websocket-protocol"] == "other, chat"
    assert headers(entry, "responseHeaders")["sec-websocket-protocol"] == "chat"


@pytest.mark.parametrize("upgrade", ["WebSocket", "WEBSOCKET"])
def test_mixed_case_upgrade(mirror: Mirror, upgrade: str) -> None:
    """An upgrade works in any case of its letters: messages pass, and it is mirrored once."""
    path = f"/spelt-{upgrade}"
    protocol = ClientProtocol(parse_uri(address(mirror, path)))
    request = protocol.connect()
    spelt = [(name, upgrade if name == "Upgrade" else value) for name, value in request.headers.raw_items()]
    request.headers = Headers(spelt)
    protocol.send_request(request)
    with socket.create_connection(("127.0.0.1", mirror.proxy.port), DEADLINE) as raw:
        accepted = exchange(protocol, raw)
        assert isinstance(accepted, Response)
        assert accepted.status_code == 101
        protocol.send_text(b"hello")
        assert exchange(protocol, raw) == Frame(Opcode.TEXT, b"hello")
    entry = the_entry(mirror, path)
    assert (entry["type"], entry["statusCode"]) == ("WebSocket", "101")
    assert headers(entry, "requestHeaders")["upgrade"] == upgrade


def exchange(protocol: ClientProtocol, raw: socket.socket) -> object:
    """Send the protocol's pending bytes, and return the next event that it receives."""
    raw.sendall(b"".join(protocol.data_to_send()))
    while not (received := protocol.events_received()):
        protocol.receive_data(raw.recv(65536))
    return received[0]


def test_over_tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An upgrade over TLS on both sides works and is mirrored once."""
    (entry,) = asyncio.run(entries_over_tls(make_identity(tmp_path_factory.mktemp("identity"))))
    assert (entry["path"], entry["type"], entry["statusCode"]) == ("/tls", "WebSocket", "101")


async def entries_over_tls(identity: Identity) -> list[Entry]:
    """Exchange a message, and return the entries.

    Each peer has one thread: the synchronous ones read and write in two, which OpenSSL forbids on one connection.
    """
    trust = {"ssl_verify_upstream_trusted_ca": str(identity.ca)}
    async with aio_server.serve(send_back, "127.0.0.1", 0, ssl=identity.server_context()) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with mirroring(f"reverse:https://localhost:{port}", options=trust) as mirror:
            address = f"wss://localhost:{mirror.proxy.port}/tls"
            async with aio_client.connect(address, ssl=trust_proxy(), proxy=None) as client:
                await client.send("over TLS")
                assert await asyncio.wait_for(client.recv(), DEADLINE) == "over TLS"
    return mirror.akto.entries


async def send_back(connection: aio_server.ServerConnection) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


def test_not_over_http2(tmp_path_factory: pytest.TempPathFactory) -> None:
    """WebSocket over HTTP/2 (RFC 8441) is neither offered nor accepted by mitmproxy, so browsers use HTTP/1.1."""
    identity = make_identity(tmp_path_factory.mktemp("identity"))
    trust = {"ssl_verify_upstream_trusted_ca": str(identity.ca)}
    with (
        serving_websockets(identity.server_context("h2", "http/1.1")) as port,
        mirroring(f"reverse:https://localhost:{port}", options=trust) as mirror,
        http2_client(mirror.proxy.port) as (tls, client),
    ):
        offered = wait_for(h2.events.RemoteSettingsChanged, tls, client).changed_settings
        assert offered[SettingCodes.ENABLE_CONNECT_PROTOCOL].new_value == 0
        client.send_headers(1, extended_connect(f"localhost:{mirror.proxy.port}"))
        tls.sendall(client.data_to_send())
        refused = wait_for((h2.events.ConnectionTerminated, h2.events.StreamReset), tls, client)
        assert refused.error_code == ErrorCodes.PROTOCOL_ERROR
    assert mirror.akto.entries == []


@contextmanager
def http2_client(port: int) -> Iterator[tuple[ssl.SSLSocket, H2Connection]]:
    """Open an HTTP/2 connection that has sent its preface."""
    context = trust_proxy()
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        client = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False))
        client.initiate_connection()
        tls.sendall(client.data_to_send())
        yield tls, client


def extended_connect(authority: str) -> list[tuple[str, str]]:
    """Return the request headers of RFC 8441, section 4."""
    pseudo = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/h2"}
    return [*pseudo.items(), (":authority", authority), ("sec-websocket-version", "13")]


def wait_for(kind: Any, tls: ssl.SSLSocket, client: H2Connection) -> Any:
    """Read until an event of this kind (or of one of these kinds) comes, and return it."""
    while data := tls.recv(65536):
        for event in client.receive_data(data):
            if isinstance(event, kind):
                return event
    raise AssertionError("the connection ended")
