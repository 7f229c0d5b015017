"""mitmproxy's HTTP layer for clients and targets that speak HTTP/2 without TLS."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from mitmproxy.connection import Connection, ConnectionState, Server
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http._events import RequestData, ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import Http2Client, Http2Server
from mitmproxy.utils import human

from akto_mirror.layers.flow_control import WINDOW, Brake, kept_for
from akto_mirror.layers.http2_frames import PREFACE, FrameReader, greets

# Codes of settings and errors (RFC 9113, sections 6.5.2 and 7).
INITIAL_WINDOW_SIZE = 4
FRAME_SIZE_ERROR = 6


class CleartextLayer(http.HttpLayer):
    """Speaks HTTP/2 with client and target, and differs from mitmproxy's layer in three points that gRPC needs.

    Without TLS nothing is negotiated: a target that does not speak HTTP/2 is recognised by its first bytes, and its
    calls get a 502. A graceful GOAWAY, with which a peer limits the age of a connection, lets open calls finish. And
    backpressure is applied to the sender of data that its peer does not read yet.
    """

    def __init__(self, stack: context.Context) -> None:
        super().__init__(stack, http.HTTPMode.transparent)
        self._readers: dict[Connection, FrameReader] = {stack.client: FrameReader(skip=len(PREFACE))}
        self._leaving: set[Connection] = set()
        self._refused = False
        self._client = Http2Server(stack.fork())
        self._client.h2_conn.local_settings.initial_window_size = WINDOW
        self._client.h2_conn.local_settings.acknowledge()
        self._brakes: dict[Connection, Brake] = {stack.client: Brake(self._client, self._kept_for_target)}
        self.connections[stack.client] = self._client

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.ConnectionEvent):
            yield from self._handle_connection(event)
        else:
            yield from super()._handle_event(event)
        for brake in self._brakes.values():
            yield from brake.release()
        for peer in list(self._leaving):
            yield from self._let_go(peer)

    def _handle_connection(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        peer = event.connection
        problem = "" if peer in self._readers else _problem(event)
        reader = self._readers.setdefault(peer, FrameReader())
        if isinstance(event, events.DataReceived) and not problem:
            event = events.DataReceived(peer, reader.feed(event.data))
            problem = "sent an overlong frame" if reader.overlong else ""
        if problem:
            yield from self._break_off(peer, problem)
            event = events.ConnectionClosed(peer)
        if isinstance(event, events.ConnectionClosed):
            self._brakes.pop(peer, None)
            self._leaving.discard(peer)
        yield from super()._handle_event(event)
        if reader.last_stream is not None:
            last, reader.last_stream = reader.last_stream, None
            yield from self._take_leave(peer, last)
        yield from self._brake(peer)

    def register_connection(self, command: http.RegisterHttpConnection) -> layer.CommandGenerator[None]:
        """Set up a new connection to a target before the waiting calls are sent on it."""
        yield from self._brake(command.connection)
        yield from super().register_connection(command)

    def _http2_client(self, target: Connection) -> Http2Client | None:
        found = self.connections.get(target)
        found = getattr(found, "child_layer", found)
        return found if isinstance(found, Http2Client) else None

    def _fail(self, calls: Iterable[int], message: str) -> layer.CommandGenerator[None]:
        for number in calls:
            if stream := self.streams.get(number):
                error = ResponseProtocolError(number, message, ResponseProtocolError.code)
                yield from self.event_to_child(stream, error)

    def _using(self, target: Connection) -> list[int]:
        return [number for number, stream in self.streams.items() if stream.context.server == target]

    def _break_off(self, peer: Connection, problem: str) -> layer.CommandGenerator[None]:
        """Close a connection if its peer does not speak HTTP/2, and answer the calls that wait for it."""
        address = human.format_address(peer.address if isinstance(peer, Server) else peer.peername)
        if peer is self.context.client:
            yield commands.Log(f"{address} {problem}")
            self._client.h2_conn.close_connection(FRAME_SIZE_ERROR, problem.encode())
            yield commands.SendData(peer, self._client.h2_conn.data_to_send())
        else:
            waiting = self._using(peer)
            message = f"The target {address} {problem}, but its client speaks HTTP/2 without TLS."
            if waiting and not self._refused:
                self._refused = True
                yield commands.Log(f"akto: {message} Its calls are answered with 502.", logging.WARNING)
            yield from self._fail(waiting, message)
        yield commands.CloseConnection(peer)

    def _take_leave(self, peer: Connection, last: int) -> layer.CommandGenerator[None]:
        """Open no more streams to a target that has sent a GOAWAY; streams that it will not process fail."""
        self._leaving.add(peer)
        target = self._http2_client(peer)
        if target is None:
            return
        peer.state &= ~ConnectionState.CAN_WRITE
        late = [theirs for ours, theirs in target.their_stream_id.items() if ours > last and ours in target.streams]
        queued = list(target.stream_queue)
        target.stream_queue.clear()
        yield from self._fail(late + queued, "The target is closing the connection and did not process this call.")

    def _let_go(self, peer: Connection) -> layer.CommandGenerator[None]:
        """Close a connection after the peer's GOAWAY, once its last call has ended."""
        if peer is self.context.client:
            used = bool(self.streams) or any(self._client.h2_conn.stream_buffers.values())
        else:
            used = bool(self._using(peer))
        if not used:
            self._leaving.discard(peer)
            yield commands.CloseConnection(peer)

    def _brake(self, peer: Connection) -> layer.CommandGenerator[None]:
        target = self._http2_client(peer)
        if target is None or peer in self._brakes or not peer.connected:
            return
        self._brakes[peer] = Brake(target, partial(self._kept_for_client, target))
        target.h2_conn.update_settings({INITIAL_WINDOW_SIZE: WINDOW})
        yield commands.SendData(peer, target.h2_conn.data_to_send())

    def _kept_for_client(self, target: Http2Client, stream_id: int) -> int:
        return kept_for(self._client, target.their_stream_id.get(stream_id, 0))

    def _kept_for_target(self, stream_id: int) -> int:
        stream = self.streams.get(stream_id)
        target = self._http2_client(stream.context.server) if stream else None
        if target is None:
            return 0
        queued = target.stream_queue.get(stream_id, ())
        waiting = sum(len(each.data) for each in queued if isinstance(each, RequestData))
        return waiting + kept_for(target, target.our_stream_id.get(stream_id, 0))


def _problem(event: events.Event) -> str:
    """Return why the first event of a connection to a target shows that it does not speak HTTP/2; empty if it does."""
    if isinstance(event, events.ConnectionClosed):
        return "closed the connection without sending anything"
    if isinstance(event, events.DataReceived) and not greets(event.data):
        return "answered in HTTP/1" if event.data.startswith(b"HTTP/1") else "did not answer in HTTP/2"
    return ""
