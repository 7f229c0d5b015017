"""A draining worker closes connections that are not in use, and no others."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import http, options
from mitmproxy.proxy import context, events
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.test import tflow

from akto_mirror.workers import drain
from akto_mirror.workers.drain import Drain


@dataclass
class Handler:
    """The parts of mitmproxy's connection handler that a drain uses."""

    client: Any
    unsent: int = 0
    closed: bool = False
    woken: int = 0
    transports: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.timeout_watchdog = SimpleNamespace(last_activity=time.time())
        transport = SimpleNamespace(get_write_buffer_size=lambda: self.unsent)
        self.transports[self.client] = SimpleNamespace(writer=SimpleNamespace(transport=transport), handler=object())

    def close_connection(self, _: Any) -> None:
        """Record the call."""
        self.closed = True

    async def server_event(self, event: events.Event) -> None:
        """Record the call."""
        assert isinstance(event, events.Wakeup)
        self.woken += 1


class Stage:
    """A drain with one connection and one exchange."""

    def __init__(self) -> None:
        self.flow = tflow.tflow(resp=True)
        self.handler = Handler(self.flow.client_conn)
        self.connections = {self.flow.client_conn.id: self.handler}
        self.drain = Drain(self.connections)
        self.drain.client_connected(self.flow.client_conn)

    async def drained(self, seconds: float = 0.0) -> bool:
        """Drain, and return whether the connection was closed."""
        await self.drain.drain(seconds)
        return self.handler.closed


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a stage without periods of grace."""
    monkeypatch.setattr(drain, "IDLE_S", -1.0)
    monkeypatch.setattr(drain, "SILENT_S", 60.0)
    return Stage()


def head(flow: http.HTTPFlow) -> str | None:
    """Return the response's `Connection` header."""
    assert flow.response
    found: str | None = flow.response.headers.get("connection")
    return found


def test_an_answer_dismisses_the_client_while_draining(stage: Stage) -> None:
    """Before the drain, `Connection: close` is not set."""
    stage.drain.requestheaders(stage.flow)
    stage.drain.response(stage.flow)
    assert head(stage.flow) is None
    asyncio.run(stage.drained())
    stage.drain.response(stage.flow)
    assert head(stage.flow) == "close"


@pytest.mark.parametrize(("streams", "said"), [(True, "close"), (False, None)])
def test_a_head_that_leaves_early_dismisses_too(stage: Stage, streams: bool, said: str | None) -> None:
    """A streamed response has the header set in `responseheaders`, before its head is sent."""
    asyncio.run(stage.drained())
    assert stage.flow.response
    stage.flow.response.stream = streams
    stage.drain.responseheaders(stage.flow)
    assert head(stage.flow) == said


@pytest.mark.parametrize(("version", "code"), [("HTTP/2.0", 200), ("HTTP/1.1", 101)])
def test_http2_and_upgrades_are_left_alone(stage: Stage, version: str, code: int) -> None:
    """In HTTP/2 the header has no meaning, and in an upgrade another one."""
    asyncio.run(stage.drained())
    assert stage.flow.response
    stage.flow.request.http_version, stage.flow.response.status_code = version, code
    stage.drain.response(stage.flow)
    assert head(stage.flow) is None


def test_idle_connections_are_closed(stage: Stage) -> None:
    """A connection is closed after its response has been sent completely."""
    stage.drain.requestheaders(stage.flow)
    assert not asyncio.run(stage.drained(0.01))
    stage.drain.response(stage.flow)
    stage.handler.unsent = 1
    assert not asyncio.run(stage.drained(0.01))
    stage.handler.unsent = 0
    assert asyncio.run(stage.drained(0.01))


def test_a_new_connection_has_more_time(stage: Stage) -> None:
    """A connection without a request stays open for a while, because its first request may be on the way."""
    assert not asyncio.run(stage.drained(0.01))


def test_sockets_that_were_upgraded_are_in_use(stage: Stage) -> None:
    """A WebSocket's connection is in use until it ends."""
    flow = tflow.twebsocketflow()
    flow.client_conn = stage.flow.client_conn
    stage.drain.requestheaders(flow)
    stage.drain.response(flow)
    stage.drain.websocket_start(flow)
    assert not asyncio.run(stage.drained(0.01))
    stage.drain.websocket_end(flow)
    assert asyncio.run(stage.drained(0.01))


def test_it_ends_when_no_connection_is_left(stage: Stage) -> None:
    """A drain without connections ends at once."""
    stage.connections.clear()
    stage.drain.client_disconnected(stage.flow.client_conn)
    assert not asyncio.run(asyncio.wait_for(stage.drained(3600), 60))


@pytest.mark.parametrize("end", ["tcp_end", "tcp_error"])
def test_raw_connections_are_in_use(stage: Stage, end: str) -> None:
    """A raw connection is in use until it ends, with or without an error."""
    flow = tflow.ttcpflow(client_conn=stage.flow.client_conn)
    stage.drain.tcp_start(flow)
    assert not asyncio.run(stage.drained(0.01))
    getattr(stage.drain, end)(flow)
    assert asyncio.run(stage.drained(0.01))


def test_an_exchange_that_breaks_off_is_over(stage: Stage) -> None:
    """After an error its connection is not in use."""
    stage.drain.requestheaders(stage.flow)
    stage.drain.error(stage.flow)
    assert asyncio.run(stage.drained(0.01))


def test_a_client_in_its_handshake_is_told_later(stage: Stage) -> None:
    """The client is woken once, when it speaks HTTP/2."""
    client = stage.handler.client
    stack = context.Context(client, options.Options())
    stage.handler.layer = HttpLayer(stack, HTTPMode.regular)  # type: ignore[attr-defined]
    stage.drain.requestheaders(stage.flow)

    async def story() -> None:
        client.alpn = None
        draining = asyncio.create_task(stage.drain.drain(60.0))
        await asyncio.sleep(0)
        assert stage.handler.woken == 0
        client.alpn = b"h2"
        for _ in range(2):
            await asyncio.sleep(2 * drain.LOOK_S)
        stage.connections.clear()
        await draining

    asyncio.run(story())
    assert stage.handler.woken == 1
