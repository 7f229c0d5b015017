"""The addon in each of mitmproxy's modes; its own requests to Akto are never mirrored."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import httpx
import pytest

from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion.service import Receiver
from tests.support.api import serving_api
from tests.support.certs import Identity, make_identity
from tests.support.mirror import Mirror, headers, mirroring, trust_proxy
from tests.support.proxy import DEADLINE, confdir, running_mitmdump

pytestmark = pytest.mark.e2e

# An additional listening address, for a proxy whose address must be known before it runs.
SIDE = "127.0.0.9"


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Return the certificate of the TLS target."""
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="module")
def target() -> Iterator[BackgroundServer]:
    """Run an HTTP target."""
    with serving_api() as server:
        yield server


@pytest.fixture(scope="module")
def tls_target(identity: Identity) -> Iterator[BackgroundServer]:
    """Run an HTTPS target."""
    with serving_api("tls", identity.server_context()) as server:
        yield server


@pytest.fixture(scope="module")
def mirror(target: BackgroundServer, tls_target: BackgroundServer, identity: Identity) -> Iterator[Mirror]:
    """Run one mitmdump that listens in all modes at once, in the order of `Mode`."""
    authorities = identity.ca.with_name("authorities.pem")
    authorities.write_bytes(identity.ca.read_bytes() + (confdir() / "mitmproxy-ca-cert.pem").read_bytes())
    with running_mitmdump("regular", options=trusting(identity.ca), scripts=()) as parent:
        modes = ("regular", f"upstream:{parent.url}", "socks5", f"reverse:{target.url}", f"reverse:{tls_target.url}")
        with mirroring(*modes, options=trusting(authorities)) as running:
            yield running


class Mode(IntEnum):
    """Index of each mode in `Proxy.addresses`."""

    REGULAR = 0
    UPSTREAM = 1
    SOCKS = 2
    REVERSE_HTTP = 3
    REVERSE_HTTPS = 4


def place(mirror: Mirror, mode: Mode) -> str:
    """Return the address of a mode, as written in a Host header."""
    host, port = mirror.proxy.addresses[mode]
    return f"{host}:{port}"


def client(proxy: str | None = None) -> httpx.Client:
    """Return a client that trusts the proxies' authority and uses this proxy, ignoring the environment."""
    return httpx.Client(proxy=proxy, verify=trust_proxy(), trust_env=False, timeout=DEADLINE)


def trusting(ca: Path) -> dict[str, str]:
    """Return the option that makes mitmproxy trust a target."""
    return {"ssl_verify_upstream_trusted_ca": str(ca)}


def free_port(host: str) -> int:
    """Return a port that nothing listens on."""
    with socket.create_server((host, 0)) as briefly:
        return int(briefly.getsockname()[1])


def address(server: BackgroundServer) -> str:
    """Return a server's host and port, as written in a Host header."""
    return server.url.partition("://")[2]


def asked(mirror: Mirror, path: str) -> str:
    """Wait for the one entry of a path, and return its host."""
    return headers(mirror.entry(path), "requestHeaders")["host"]


@pytest.mark.parametrize("mode", [Mode.REGULAR, Mode.UPSTREAM], ids=lambda mode: mode.name)
def test_forward(mirror: Mirror, target: BackgroundServer, tls_target: BackgroundServer, mode: Mode) -> None:
    """A forward proxy, with or without an upstream one, mirrors plain and tunnelled requests with their host."""
    plain, tunnel = f"/plain-{mode.name}", f"/tunnel-{mode.name}"
    with client(f"http://{place(mirror, mode)}") as browser:
        assert browser.get(target.url + plain).json()["host"] == address(target)
        assert browser.post(tls_target.url + tunnel, json=[1]).json()["host"] == address(tls_target)
    assert asked(mirror, plain) == address(target)
    assert asked(mirror, tunnel) == address(tls_target)
    assert mirror.entry(tunnel)["requestPayload"] == "[1]"


def test_socks5(mirror: Mirror, target: BackgroundServer) -> None:
    """A SOCKS proxy mirrors the requests that pass."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port)
    with socks_connection(mirror.proxy.addresses[Mode.SOCKS], ("127.0.0.1", target.port)) as raw:
        connection.sock = raw
        connection.request("GET", "/socks")
        assert json.loads(connection.getresponse().read())["host"] == address(target)
    assert asked(mirror, "/socks") == address(target)


def socks_connection(proxy: tuple[str, int], to: tuple[str, int]) -> socket.socket:
    """Connect through a SOCKS 5 proxy without authentication (RFC 1928, sections 3 to 6)."""
    raw = socket.create_connection(proxy, DEADLINE)
    raw.sendall(b"\x05\x01\x00")
    assert raw.recv(2, socket.MSG_WAITALL) == b"\x05\x00"
    raw.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(to[0]) + struct.pack(">H", to[1]))
    assert raw.recv(10, socket.MSG_WAITALL)[:2] == b"\x05\x00"
    return raw


def test_reverse_http(mirror: Mirror, target: BackgroundServer) -> None:
    """A reverse proxy sends the target its own host, and Akto the host that the client requested."""
    listener = f"http://{place(mirror, Mode.REVERSE_HTTP)}"
    with client() as browser:
        assert browser.get(f"{listener}/named", headers={"host": "api.example.com"}).json()["host"] == address(target)
        assert browser.get(f"{listener}/by-address").json()["host"] == address(target)
    assert asked(mirror, "/named") == "api.example.com"
    assert asked(mirror, "/by-address") == place(mirror, Mode.REVERSE_HTTP)


def test_reverse_https(mirror: Mirror, tls_target: BackgroundServer) -> None:
    """A reverse proxy in front of a TLS target mirrors requests of plain and TLS clients."""
    listener = place(mirror, Mode.REVERSE_HTTPS)
    with client() as browser:
        assert browser.get(f"http://{listener}/clear").json()["host"] == address(tls_target)
        request = browser.build_request("GET", f"https://{listener}/secure", headers={"host": "api.example.com"})
        request.extensions["sni_hostname"] = "localhost"  # The name in the target's certificate.
        assert browser.send(request).json()["host"] == address(tls_target)
    assert asked(mirror, "/clear") == listener
    assert asked(mirror, "/secure") == "api.example.com"


def test_proxy_variables_are_not_followed(target: BackgroundServer) -> None:
    """Requests to Akto are sent directly, even if the environment names this proxy as the HTTP proxy."""
    port = free_port(SIDE)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    env = {spelt: f"http://{SIDE}:{port}" for name in names for spelt in (name, name.lower())}
    listener = ("--mode", f"regular@{SIDE}:{port}")
    with mirroring(f"reverse:{target.url}", env=env, arguments=listener) as mirror, client() as browser:
        mirror.proxy.wait_for(rf"listening at {SIDE}:{port}")
        browser.get(f"{mirror.proxy.url}/one").raise_for_status()
        mirror.entry("/one")
    assert [entry["path"] for entry in mirror.akto.entries] == ["/one"]
    assert not calls_to_akto(mirror)


def test_own_calls_through_the_same_proxy(target: BackgroundServer) -> None:
    """Requests to Akto that go through the same proxy arrive and are not mirrored."""
    port = free_port(SIDE)
    with Receiver() as akto:
        listener = ("--mode", f"reverse:{akto.url}@{SIDE}:{port}")
        settings = {"akto_url": f"http://{SIDE}:{port}"}
        with mirroring(f"reverse:{target.url}", options=settings, arguments=listener) as mirror, client() as browser:
            mirror.proxy.wait_for(rf"listening at {SIDE}:{port}")
            browser.get(f"{mirror.proxy.url}/one").raise_for_status()
            akto.wait_for(1)
            browser.get(f"{mirror.proxy.url}/two").raise_for_status()
            akto.wait_for(2)
        assert [entry["path"] for entry in akto.entries] == ["/one", "/two"]
        assert len(calls_to_akto(mirror)) == len(akto.batches)


def calls_to_akto(mirror: Mirror) -> list[str]:
    """Return the lines of mitmdump's output that show requests to Akto passing through it."""
    return [line for line in mirror.proxy.log if "POST http" in line and "/api/ingestData" in line]


def test_own_calls_through_another_proxy_that_mirrors(target: BackgroundServer) -> None:
    """Requests to Akto that pass through another proxy with the addon are not mirrored there either."""
    with Receiver() as akto, mirroring(f"reverse:{akto.url}") as outer:
        settings = {"akto_url": outer.proxy.url}
        with mirroring(f"reverse:{target.url}", options=settings) as inner, client() as browser:
            browser.get(f"{inner.proxy.url}/one").raise_for_status()
            akto.wait_for(1)
    assert [entry["path"] for entry in akto.entries] == ["/one"]
    assert outer.akto.entries == []
