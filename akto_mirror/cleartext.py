"""mitmproxy's HTTP layer where client and target speak HTTP/2 without TLS."""

from __future__ import annotations

import logging

from mitmproxy.connection import Connection, Server
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http._events import ResponseProtocolError
from mitmproxy.utils import human


class CleartextLayer(http.HttpLayer):
    """Speaks HTTP/2 with both sides, and answers 502 for a target that does not speak it.

    Without TLS nothing is negotiated: only what a target says first shows whether it speaks HTTP/2.
    """

    def __init__(self, stack: context.Context) -> None:
        super().__init__(stack, http.HTTPMode.transparent)
        self._heard: set[Connection] = {stack.client}
        self._refused = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.ConnectionEvent) and event.connection not in self._heard:
            self._heard.add(event.connection)
            if problem := _problem(event):
                yield from self._refuse(event.connection, problem)
                event = events.ConnectionClosed(event.connection)
        yield from super()._handle_event(event)

    def _refuse(self, target: Connection, problem: str) -> layer.CommandGenerator[None]:
        """Answer the calls that wait for the target; mitmproxy's own message is about the length of a frame."""
        waiting = {number: stream for number, stream in self.streams.items() if stream.context.server == target}
        address = target.address if isinstance(target, Server) else None
        message = f"The target {human.format_address(address)} {problem}, but its client speaks HTTP/2 without TLS."
        if waiting and not self._refused:
            self._refused = True
            yield commands.Log(f"akto: {message} Its calls are answered with 502.", logging.WARNING)
        for number, stream in waiting.items():
            error = ResponseProtocolError(number, message, ResponseProtocolError.code)
            yield from self.event_to_child(stream, error)
        yield commands.CloseConnection(target)


def _problem(event: events.Event) -> str:
    """Say why the first event of a connection to a target shows that it does not speak HTTP/2, or return nothing."""
    if isinstance(event, events.ConnectionClosed):
        return "closed the connection without a word"
    if isinstance(event, events.DataReceived) and event.data.startswith(b"HTTP/1"):
        return "answered in HTTP/1"
    return ""
