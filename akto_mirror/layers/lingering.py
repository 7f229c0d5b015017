"""HTTP streams that survive the end of their target's connection, as streamed requests need.

If a target closes its connection before a streamed request is complete, with or without a response, mitmproxy closes
the client's connection while the client is still sending (`HttpStream.handle_protocol_error` in
mitmproxy/proxy/layers/http/__init__.py). A client that reads only after it has written everything then sees a reset
instead of the response. Here the client gets the response, and the rest of its request is read and discarded, within
bounds (RFC 9112, section 9.6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mitmproxy import http, version
from mitmproxy.connection import Client, Connection
from mitmproxy.net.http import status_codes
from mitmproxy.net.http.http1 import expected_http_body_size
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer, NextLayer
from mitmproxy.proxy.layers.http import DropStream, HttpLayer, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import format_error
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from akto_mirror.layers.framing import framed, may_be_empty
from akto_mirror.layers.slack import Slack

# Limits for reading a request after its target has closed; the first one also for data that a peer does not read.
MOST = 64 * 1024 * 1024
MOST_S = 30

# Returns the writers of a client's connections, by connection.
Writers = Callable[[Client], Mapping[Connection, Any]]


class LingeringHttpLayer(HttpLayer):
    """mitmproxy's layer, with `LingeringStream` for each exchange.

    Attributes:
        writers: returns the writers of the client's connections.
    """

    writers: Writers

    def make_stream(self, stream_id: int) -> CommandGenerator[None]:
        """Make the stream of a request that has begun."""
        self.streams[stream_id] = stream = LingeringStream(self.context.fork(), stream_id, self.writers)
        yield from self.event_to_child(stream, events.Start())


class Lingerer:
    """An addon that runs after mitmproxy's own, which choose the layers.

    Args:
        writers: returns the writers of a client's connections.
    """

    def __init__(self, writers: Writers) -> None:
        self._writers = writers

    def next_layer(self, nextlayer: NextLayer) -> None:
        """Replace the HTTP layer in the chosen stack by one that lingers."""
        layer: Layer | None = nextlayer.layer
        while layer is not None:
            if type(layer) is HttpLayer:
                layer.__class__ = LingeringHttpLayer
                layer.writers = self._writers  # type: ignore[attr-defined] # It is one of these now.
            layer = getattr(layer, "child_layer", None)


class LingeringStream(HttpStream):
    """One exchange.

    Args:
        context: mitmproxy's.
        stream_id: the stream's id on the client's connection.
        writers: returns the writers of the client's connections.
    """

    def __init__(self, context: Context, stream_id: int, writers: Writers) -> None:
        super().__init__(context, stream_id)
        self._writers = writers
        self._slack: Slack | None = None
        self._slack_left = MOST
        self._uploads = False
        self._answer_ended = False
        self._discarded = 0
        self._is_cut = False
        self._end: ResponseProtocolError | None = None

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        # Called for each event: another generator would cost each command another step.
        if isinstance(event, events.Wakeup):
            return self._give_up()
        if isinstance(event, RequestData) and not event.data:
            return _nothing()  # An empty frame within a body: mitmproxy would turn it into the last chunk of HTTP/1.
        return super()._handle_event(event)  # type: ignore[no-any-return] # As mitmproxy declares it.

    def start_request_stream(self) -> CommandGenerator[None]:
        """Stream the request from now on, or from the first byte of its body."""
        begins = self.client_state == self.state_wait_for_request_headers
        if begins and may_be_empty(self.flow.request, self.context.server):
            self.client_state = self.state_wait_for_request_body
        else:
            yield from self._connect()

    def state_wait_for_request_body(self, event: events.Event) -> CommandGenerator[None]:
        """Stream the request if it has a body; if it ends without one, send it as mitmproxy does."""
        if isinstance(event, RequestData):
            yield from self._connect()
        else:
            self.client_state = self.state_consume_request_body
        if self.client_state != self.state_errored:
            yield from self.client_state(event)

    def _connect(self) -> CommandGenerator[None]:
        """Connect to the target; if it refuses, the client still gets a response."""
        self._uploads = True
        yield from framed(super().start_request_stream())
        if self._end is not None:
            self.client_state = self.state_discard_request

    def state_consume_request_body(self, event: events.Event) -> CommandGenerator[None]:
        """Buffer the request until it is complete, then send it."""
        sent = super().state_consume_request_body(event)
        return sent if self._client_speaks_http1 else framed(sent)

    def make_server_connection(self) -> CommandGenerator[bool]:
        """Connect to the target."""
        is_connected = yield from super().make_server_connection()
        if is_connected and self._uploads:
            writers = self._writers(self.context.client)
            client = writers.get(self.context.client) if self._client_speaks_http1 else None
            self._slack = Slack(client, writers.get(self.context.server))
        return is_connected

    def state_wait_for_response_headers(self, event: ResponseHeaders) -> CommandGenerator[None]:
        """If the response arrives before its request has ended, keep reading, even if client and target do not."""
        if self._is_uploading and self._slack is not None and self._client_speaks_http1:
            self._slack.loosen()
        passed: CommandGenerator[None] = super().state_wait_for_response_headers(event)
        return passed

    def state_stream_request_body(self, event: events.Event) -> CommandGenerator[None]:
        """Stream the request."""
        yield from super().state_stream_request_body(event)
        if isinstance(event, RequestData):
            self._use_slack(len(event.data))
        if not self._is_uploading:
            self._take_slack()

    def state_stream_response_body(self, event: events.Event) -> CommandGenerator[None]:
        """Stream the response."""
        yield from super().state_stream_response_body(event)
        if isinstance(event, ResponseData):
            self._use_slack(len(event.data))

    def state_discard_request(self, event: events.Event) -> CommandGenerator[None]:
        """Discard the rest of a request after its target has ended."""
        if isinstance(event, RequestData):
            self._discarded += len(event.data)
            if self._discarded > MOST:
                yield from self._give_up()
        elif isinstance(event, RequestEndOfMessage):
            if self._is_cut:
                yield from self._give_up()
            else:
                yield from self._let_go()

    def send_response(self, already_streamed: bool = False) -> CommandGenerator[None]:
        """Send the response, to an HTTP/1 client with its end, which mitmproxy sends only after the request's end."""
        sent = super().send_response(already_streamed)
        return self._sent_early(sent) if self._uploads else sent

    def _sent_early(self, sent: CommandGenerator[None]) -> CommandGenerator[None]:
        yield from sent
        if not self._is_uploading or self.server_state != self.state_done:
            return
        if self._client_speaks_http1:
            yield from self._end_answer()
        if self._answer_ends_connection:
            # Nothing else will report the target's end. In other states that event may still arrive, and mitmproxy
            # leaks a connection that is closed before.
            yield commands.CloseConnection(self.context.server)
            end = ResponseProtocolError(self.stream_id, "server closed connection", ResponseProtocolError.code)
            yield from self.handle_protocol_error(end)

    def flow_done(self) -> CommandGenerator[None]:
        """Finish an exchange whose request and response have ended."""
        done = super().flow_done()
        return (each for each in done if not _is_end(each)) if self._answer_ended else done

    def handle_protocol_error(self, event: events.Event) -> CommandGenerator[None]:
        """Survive a target that closes before the request has ended."""
        if isinstance(event, ResponseProtocolError) and self._is_past_target:
            return
        if not (isinstance(event, ResponseProtocolError) and self._uploads and self._is_uploading_or_connecting):
            yield from super().handle_protocol_error(event)  # type: ignore[arg-type] # As declared there.
            self._take_slack()
        elif self.server_state == self.state_done:
            yield from self._end_answer()
            self.flow.live = False
            yield from self._linger(event)
        elif self._client_speaks_http1:
            yield from self._fail(event)
        else:
            # HTTP/2 and 3 end a stream without its connection.
            yield from super().handle_protocol_error(event)

    def _fail(self, event: ResponseProtocolError) -> CommandGenerator[None]:
        """Tell an HTTP/1 client of the failure: with mitmproxy's error page or, in mid-response, by closing."""
        self._is_cut = self.server_state == self.state_stream_response_body
        for command in super().handle_protocol_error(event):
            if isinstance(command, SendHttp) and command.event is event:
                yield from () if self._is_cut else self._send_page(event)
            elif not isinstance(command, DropStream):
                yield command
        if self.client_state != self.state_errored:
            yield from self._linger(event)

    def _send_page(self, event: ResponseProtocolError) -> CommandGenerator[None]:
        """Send the page that `Http1Server.send` would, but leave the connection open."""
        status = _status(event)
        if status is None:
            self._is_cut = True
            return
        headers = http.Headers(Server=version.MITMPROXY, Connection="close", Content_Type="text/html")
        page = http.Response.make(status, format_error(status, event.message), headers)
        yield SendHttp(ResponseHeaders(self.stream_id, page), self.context.client)
        yield SendHttp(ResponseData(self.stream_id, page.raw_content or b""), self.context.client)
        yield from self._end_answer()

    def _end_answer(self) -> CommandGenerator[None]:
        if not self._answer_ended:
            self._answer_ended = True
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def _linger(self, event: ResponseProtocolError) -> CommandGenerator[None]:
        """Discard the rest of the request from now on."""
        self._end = event
        self.client_state = self.state_discard_request
        yield commands.RequestWakeup(MOST_S)

    def _give_up(self) -> CommandGenerator[None]:
        """Close the client's connection or, with HTTP/2, its stream, if the request has not ended yet."""
        if self.client_state != self.state_discard_request:
            return
        assert self._end is not None  # noqa: S101 - set with the state; for the type checker
        yield SendHttp(self._end, self.context.client)
        yield from self._let_go()

    def _let_go(self) -> CommandGenerator[None]:
        self.client_state = self.state_errored
        self._take_slack()
        yield DropStream(self.stream_id)

    def _use_slack(self, size: int) -> None:
        """Count the bytes that were passed on with slack; when all of it is used, apply backpressure again."""
        if self.server_state != self.state_wait_for_response_headers:
            self._slack_left -= size
            if self._slack_left < 0:
                self._take_slack()

    def _take_slack(self) -> None:
        if self._slack is not None:
            self._slack.tighten()
            self._slack = None

    @property
    def _is_past_target(self) -> bool:
        # Its end was handled before, or came after a complete response: mitmproxy would report it to the next request.
        is_over = self.client_state == self.state_done and self.server_state == self.state_done
        return bool(is_over or self.client_state == self.state_discard_request)

    @property
    def _is_uploading(self) -> bool:
        return bool(self.client_state == self.state_stream_request_body)

    @property
    def _is_uploading_or_connecting(self) -> bool:
        return self._is_uploading or self.client_state == self.state_wait_for_request_headers

    @property
    def _answer_ends_connection(self) -> bool:
        response = self.flow.response
        if response is None or response.is_http2 or response.is_http3:
            return False
        try:
            return expected_http_body_size(self.flow.request, response) == -1
        except ValueError:
            return False

    @property
    def _client_speaks_http1(self) -> bool:
        return not (self.flow.request.is_http2 or self.flow.request.is_http3)


def _nothing() -> CommandGenerator[None]:
    yield from ()


def _is_end(command: commands.Command) -> bool:
    return isinstance(command, SendHttp) and isinstance(command.event, ResponseEndOfMessage)


def _status(event: ResponseProtocolError) -> int | None:
    """Return the status of mitmproxy's page for an error; mitmproxy 11 uses numbers, and 444 for no response."""
    code: Any = event.code
    if isinstance(code, int):
        return None if code == status_codes.NO_RESPONSE else code
    status: int | None = code.http_status_code()
    return status
