"""SIGHUP to `akto-mirror run --processes` replaces the workers without failures for correct clients."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest
from h2.connection import H2Connection
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from akto_mirror.workers import supervisor
from tests.e2e import workers
from tests.faults.load import Api, GrpcApi
from tests.faults.server import FaultServer, status, wait_for
from tests.support.loop_server import LoopServer
from tests.support.mirror import trust_proxy
from tests.support.proxy import DEADLINE, Proxy

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="several processes are for Linux"),
]


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_replacing_workers_fails_no_request(tmp_path: Path, times: int) -> None:
    """Under load with HTTP/1 and gRPC on kept connections, nothing fails, is lost, or arrives twice."""
    with (
        Api() as api,
        GrpcApi() as grpc_api,
        FaultServer() as akto,
        workers.StrictClients(4, 0.005) as clients,
        workers.StrictGrpcClients(2, 0.01) as calls,
    ):
        with workers.serving([workers.url(api), workers.url(grpc_api)], akto, tmp_path) as proxy:
            before = set(proxy.workers)
            (_, clients.port), (calls.host, calls.port) = proxy.addresses
            wait_for(lambda: len(clients.answered) > 50 and len(calls.answered) > 20, DEADLINE)
            workers.replace_workers(proxy, times)
            answered, called = len(clients.answered), len(calls.answered)
            wait_for(lambda: len(clients.answered) > answered + 50 and len(calls.answered) > called + 20, DEADLINE)
            clients.stop()
            calls.stop()
            assert before.isdisjoint(proxy.workers)
        assert clients.failed + calls.failed == []
        assert set(akto.taken) == {*clients.answered, *calls.answered}
        assert set(akto.taken.values()) == {1}
        counts = workers.summary(proxy)
        assert (counts["captured"], counts["dropped"]) == (counts["shipped"], 0)
        assert counts["captured"] == len(akto.taken)


class Held(RequestHandler):
    """Answers once the test allows it."""

    async def get(self) -> None:
        """Wait in a thread, so that the server is not blocked."""
        gate: threading.Event = self.settings["gate"]
        await asyncio.to_thread(gate.wait, DEADLINE)
        self.write({"held": True})


@pytest.mark.slow
def test_http2_streams_end_before_their_worker(tmp_path: Path) -> None:
    """GOAWAY stops new streams of a client; the open one gets its response, and then the connection ends."""
    gate = threading.Event()
    target = BackgroundServer(Application([("/.*", Held)], gate=gate, log_function=lambda _: None))
    with target, FaultServer() as akto:
        with workers.serving([target.url], akto, tmp_path) as proxy, _http2(proxy) as client:
            frames = _request(client)
            next(frames)  # The settings show that the request has arrived.
            proxy.process.send_signal(signal.SIGHUP)
            assert next(kind for kind, _, _ in frames if kind in (HEADERS, GOAWAY, DATA)) == GOAWAY
            gate.set()
            rest = list(frames)
        assert [payload for kind, _, payload in rest if kind == DATA and payload] == [b'{"held": true}']
        assert any(kind == DATA and flags & END_STREAM for kind, flags, _ in rest)
        assert workers.summary(proxy)["shipped"] == 1


class Endless(LoopServer):
    """Answers any request with an endless stream of JSON lines."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a line each tenth of a second."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"[1]\n")
                await writer.drain()
                await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_worker_with_an_endless_stream_has_half_a_minute(tmp_path: Path) -> None:
    """The stream continues for most of that time and is cut; unsent entries are on disk when the worker ends."""
    with Endless() as target, FaultServer(status(503)) as akto:
        address = f"http://127.0.0.1:{target.port}"
        with workers.serving([address], akto, tmp_path, akto_shutdown_s="600") as proxy:
            with _http2(proxy) as client:
                frames = _request(client)
                next(payload for kind, _, payload in frames if kind == DATA)
                pid = workers.worker_of(proxy, client)
                proxy.process.send_signal(signal.SIGHUP)
                next(kind for kind, _, _ in frames if kind == GOAWAY)
                asked = time.monotonic()
                lines = sum(kind == DATA for kind, _, _ in frames)
                cut = time.monotonic()
            wait_for(lambda: workers.has_ended(pid), DEADLINE)
            ended = time.monotonic()
            # On a busy machine the scheduler may exceed each of the limits.
            assert supervisor.DRAIN_S - 1 < cut - asked < supervisor.FLUSH_S, lines
            assert lines > 50
            assert ended - asked < supervisor.END_S + 1
            proxy.wait_for(workers.REPLACED)
            with httpx.stream("GET", proxy.url, trust_env=False, timeout=DEADLINE) as answer:
                assert next(answer.iter_lines()) == "[1]"
        counts = workers.summary(proxy)
        assert (counts["captured"], counts["spooled"], counts["dropped"]) == (2, 2, 0), proxy.log[-1]


# Frames of HTTP/2 and a flag (RFC 9113, section 6).
DATA, HEADERS, GOAWAY, END_STREAM = 0, 1, 7, 1


@contextlib.contextmanager
def _http2(proxy: Proxy) -> Iterator[socket.socket]:
    """Connect as an HTTP/2 client."""
    context = trust_proxy()
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", proxy.port), DEADLINE) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as client,
    ):
        yield client


def _request(client: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Send a request, and return the frames received until the connection ends."""
    made = H2Connection()
    made.initiate_connection()
    headers = [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "a")]
    made.send_headers(1, headers, end_stream=True)
    client.sendall(made.data_to_send())
    stream = client.makefile("rb")
    while frame := list(_frame(stream)):
        yield from frame


def _frame(stream: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    with contextlib.suppress(ConnectionError):
        if len(head := stream.read(9)) == 9:
            yield head[3], head[4], stream.read(int.from_bytes(head[:3]))
