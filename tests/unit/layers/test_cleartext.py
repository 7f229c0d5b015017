"""HTTP/2 without TLS at the level of bytes: targets with other protocols, and connections that end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event, RequestReceived, ResponseReceived, StreamEnded
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from akto_mirror.layers.cleartext import CleartextLayer
from tests.support.layers import Wire, stack

CALL = [(":method", "GET"), (":path", "/a"), (":scheme", "http"), (":authority", "target:1")]


class Ends:
    """A client and a target that speak HTTP/2, with the layer between them."""

    def __init__(self, context: taddons.context) -> None:
        self.stack = stack(context.options, b"h2")
        self.wire = Wire(CleartextLayer(self.stack))
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.target = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.client.initiate_connection()
        self.target.initiate_connection()

    def call(self) -> int:
        """Send a request without a body, and return its stream."""
        stream: int = self.client.get_next_available_stream_id()
        self.client.send_headers(stream, CALL, end_stream=True)
        self.wire.receive(self.stack.client, self.client.data_to_send())
        return stream

    def at_client(self) -> list[Event]:
        """Return the events that the client has received."""
        events: list[Event] = self.client.receive_data(self.wire.take(self.stack.client))
        return events

    def at_target(self) -> list[Event]:
        """Return the events that the target has received."""
        events: list[Event] = self.target.receive_data(self.wire.take(self.stack.server))
        return events

    def answer(self, stream: int) -> None:
        """Send the target's response to a request."""
        self.target.send_headers(stream, [(":status", "200")], end_stream=True)
        self.from_target()

    def from_target(self) -> None:
        """Pass on the target's bytes."""
        self.wire.receive(self.stack.server, self.target.data_to_send())

    def statuses(self) -> list[str]:
        """Return the statuses of the responses that the client has received."""
        return [
            next(str(value) for name, value in event.headers or [] if str(name) == ":status")
            for event in self.at_client()
            if isinstance(event, ResponseReceived)
        ]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Return both ends, with mitmproxy's options."""
    with taddons.context(Proxyserver()) as context:
        yield Ends(context)


def test_a_call_goes_through(ends: Ends) -> None:
    """Both sides speak HTTP/2, and both connections stay open."""
    ends.call()
    (stream,) = [event.stream_id for event in ends.at_target() if isinstance(event, RequestReceived)]
    assert stream is not None
    ends.answer(stream)
    assert ends.statuses() == ["200"]
    assert ends.wire.closed == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answered in HTTP/1"),
        (b"220 mail.example ESMTP\r\n", "did not answer in HTTP/2"),
        (b"", "closed the connection without sending anything"),
    ],
)
def test_a_target_of_another_protocol_costs_its_calls_only(ends: Ends, said: bytes, problem: str) -> None:
    """The requests are answered with 502, logged once per connection; the client's connection stays open."""
    for _ in range(2):
        ends.call()
    if said:
        ends.wire.receive(ends.stack.server, said)
    else:
        ends.wire.end(ends.stack.server)
    assert ends.statuses() == ["502", "502"]
    assert [problem in line for line in ends.wire.logged if line.startswith("akto: ")] == [True]
    assert ends.stack.client not in ends.wire.closed


def test_an_overlong_frame_ends_the_client_s_connection(ends: Ends) -> None:
    """The client gets the error that RFC 9113, section 4.2, requires."""
    ends.call()
    ends.wire.receive(ends.stack.client, (2**24 - 1).to_bytes(3, "big") + bytes(6))
    (end,) = [event for event in ends.at_client() if isinstance(event, ConnectionTerminated)]
    assert end.error_code == ErrorCodes.FRAME_SIZE_ERROR
    assert ends.wire.closed[0] is ends.stack.client


def test_a_target_that_takes_its_leave_finishes_what_it_began(ends: Ends) -> None:
    """After GOAWAY, requests that the target does not process get 502; it is closed after the last response."""
    first, second = ends.call(), ends.call()
    ends.at_target()
    ends.target.close_connection(last_stream_id=1)
    goaway = ends.target.data_to_send()
    ends.wire.receive(ends.stack.server, goaway)
    assert ends.statuses() == ["502"]
    assert ends.wire.closed == []
    # A frame of HEADERS with END_STREAM and END_HEADERS, and `:status: 200` from the static table.
    ends.wire.receive(ends.stack.server, b"\0\0\x01\x01\x05\0\0\0\x01\x88")
    got = ends.at_client()
    assert [event.stream_id for event in got if isinstance(event, StreamEnded)] == [first]
    assert second != first
    assert ends.stack.server in ends.wire.closed
