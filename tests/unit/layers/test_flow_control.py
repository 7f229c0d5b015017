"""A stream's window is not extended while much is buffered for a peer that reads slowly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers.http._http2 import Http2Server
from mitmproxy.test import taddons

from akto_mirror.layers.flow_control import KEPT, Brake, kept_for
from tests.support.layers import stack

CALL = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "h")]
PIECE = 40_000


class Sender:
    """An HTTP/2 client that uploads on one stream, and mitmproxy's connection to it."""

    def __init__(self, context: taddons.context) -> None:
        self.peer = H2Connection(H2Configuration(client_side=True))
        self.ours = Http2Server(stack(context.options, b"h2"))
        self.ours.h2_conn.local_settings.initial_window_size = 65_535
        self.ours.h2_conn.local_settings.acknowledge()
        self.peer.initiate_connection()
        self.ours.h2_conn.initiate_connection()
        self.peer.send_headers(1, CALL)
        self.pass_on()

    def pass_on(self) -> None:
        """Pass on the pending bytes in both directions."""
        self.ours.h2_conn.receive_data(self.peer.data_to_send())
        self.peer.receive_data(self.ours.h2_conn.data_to_send())

    def send(self) -> None:
        """Upload one piece, and acknowledge it."""
        for _ in range(PIECE // 10_000):
            self.peer.send_data(1, bytes(10_000))
        self.pass_on()
        self.ours.h2_conn.acknowledge_received_data(PIECE, 1)
        self.pass_on()

    @property
    def room(self) -> int:
        """The bytes that the client may still send on the stream."""
        return int(self.peer.local_flow_control_window(1))


@pytest.fixture
def sender() -> Iterator[Sender]:
    """Return a client with an open stream."""
    with taddons.context(Proxyserver()) as context:
        yield Sender(context)


def test_room_is_given_while_little_is_kept(sender: Sender) -> None:
    """The window is extended as without the brake."""
    before = sender.room
    Brake(sender.ours, lambda _: KEPT)
    sender.send()
    assert sender.room == before


def test_room_is_withheld_until_little_is_kept(sender: Sender) -> None:
    """The window is extended by the whole amount when little is buffered."""
    before, kept = sender.room, KEPT + 1
    brake = Brake(sender.ours, lambda _: kept)
    sender.send()
    assert list(brake.release()) == []
    assert sender.room == before - PIECE
    kept = KEPT
    (command,) = brake.release()
    assert isinstance(command, commands.SendData)
    sender.peer.receive_data(command.data)
    assert sender.room == before
    assert list(brake.release()) == []


def test_nothing_is_sent_to_a_peer_that_has_gone(sender: Sender) -> None:
    """No window update is sent to a closed connection."""
    kept = KEPT + 1
    brake = Brake(sender.ours, lambda _: kept)
    sender.send()
    sender.ours.conn.state = ConnectionState.CLOSED
    kept = 0
    assert list(brake.release()) == []


def test_what_a_window_has_no_room_for_is_kept(sender: Sender) -> None:
    """Bytes beyond the window are counted as kept until the peer extends the window."""
    sender.ours.h2_conn.send_headers(1, [(":status", "200")])
    sender.ours.h2_conn.send_data(1, bytes(100_000))
    assert kept_for(sender.ours, 1) == 100_000 - 65_535
    assert kept_for(sender.ours, 3) == 0
    sender.peer.increment_flow_control_window(100_000)
    sender.peer.increment_flow_control_window(100_000, stream_id=1)
    sender.pass_on()
    assert kept_for(sender.ours, 1) == 0
