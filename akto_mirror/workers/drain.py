"""Drains a worker: responses are completed, and until the parent's time limit only idle connections are closed.

HTTP/1 clients get `connection: close` (RFC 9112, section 9.6), HTTP/2 clients a GOAWAY that refuses no stream (RFC
9113, section 6.8), so that they open another connection. Idle connections are closed after a grace period; a client
that sends a request at that moment may repeat it (RFC 9112, section 9.3.1).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mitmproxy import flow, http, tcp
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.http import HttpLayer

# A GOAWAY frame without an error, with the highest possible stream id as the last one that is served.
GOAWAY = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")

# Seconds without activity before a connection is closed: one that has had a response, and one that has not.
IDLE_S = 0.5
SILENT_S = 5.0

# Seconds between two checks of the connections.
LOOK_S = 0.05


class Drain:
    """An addon that knows which connections are in use, and can close them once they are idle.

    Args:
        connections: mitmproxy's connection handlers, by the clients' ids.
    """

    name = "akto-drain"

    def __init__(self, connections: Mapping[Any, Any]) -> None:
        self._connections = connections
        self._flows: dict[str, set[str]] = {}
        self._served: set[str] = set()
        self._drains = False

    def client_connected(self, client: Client) -> None:
        """Follow a connection."""
        self._flows[client.id] = set()

    def client_disconnected(self, client: Client) -> None:
        """Forget a connection."""
        self._flows.pop(client.id, None)
        self._served.discard(client.id)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Note that a connection is in use."""
        self._begin(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Ask the client to close the connection after the response whose head is being sent."""
        if flow.response is not None and flow.response.stream:
            self._dismiss(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        """Ask the client to close the connection after this response."""
        self._dismiss(flow)
        self._end(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Note that an exchange has ended."""
        self._end(flow)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Note that a connection is in use."""
        self._begin(flow)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Note that a connection is not in use any more."""
        self._end(flow)

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        """Note that a connection is in use."""
        self._begin(flow)

    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        """Note that a connection is not in use any more."""
        self._end(flow)

    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        """Note that a connection is not in use any more."""
        self._end(flow)

    async def drain(self, seconds: float) -> None:
        """Return when no connection is left, or when the time has expired."""
        self._drains = True
        deadline = time.monotonic() + seconds
        warned: set[str] = set()
        while self._connections and time.monotonic() < deadline:
            for handler in list(self._connections.values()):
                # A client that was still in its handshake gets its GOAWAY once it speaks HTTP/2.
                if handler.client.id not in warned and await _say_goodbye(handler):
                    warned.add(handler.client.id)
                elif self._is_idle(handler):
                    _close(handler)
            await asyncio.sleep(LOOK_S)

    def _begin(self, flow: flow.Flow) -> None:
        self._flows.setdefault(flow.client_conn.id, set()).add(flow.id)

    def _end(self, flow: flow.Flow) -> None:
        self._flows.get(flow.client_conn.id, set()).discard(flow.id)
        self._served.add(flow.client_conn.id)

    def _dismiss(self, flow: http.HTTPFlow) -> None:
        answer = flow.response
        if self._drains and answer is not None and answer.status_code != 101 and flow.request.http_version < "HTTP/2":
            answer.headers["connection"] = "close"

    def _is_idle(self, handler: Any) -> bool:
        client = handler.client
        if self._flows.get(client.id) or _unsent(handler):
            return False
        patience = IDLE_S if client.id in self._served else SILENT_S
        return time.time() - float(handler.timeout_watchdog.last_activity) > patience


def _unsent(handler: Any) -> int:
    io = handler.transports.get(handler.client)
    return 0 if io is None or io.writer is None else int(io.writer.transport.get_write_buffer_size())


def _close(handler: Any) -> None:
    io = handler.transports.get(handler.client)
    if io is not None and io.handler is not None:
        handler.close_connection(handler.client)


async def _say_goodbye(handler: Any) -> bool:
    """Send an HTTP/2 client a GOAWAY; False if it does not speak HTTP/2, or not yet."""
    if handler.client.alpn != b"h2":
        return False
    layer = next((each for each in handler.layer.context.layers if isinstance(each, HttpLayer)), None)
    if layer is None:
        return False
    # mitmproxy passes a command's result to the layer that issued it, below all TLS layers.
    command = commands.RequestWakeup(0.0)
    layer.command_sources[command] = _GoodBye(handler.client)
    await handler.server_event(events.Wakeup(command))
    return True


class _GoodBye(Layer):
    """A layer that sends a GOAWAY when it is woken."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        del event
        yield commands.SendData(self._client, GOAWAY)

    _handle_event = handle_event
