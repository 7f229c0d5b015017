"""Bounds the memory for peers that read slowly, which mitmproxy's HTTP/2 layers do not.

mitmproxy reads as fast as a peer sends, and buffers data for which the receiving peer's window has no room. A `Brake`
does not extend the sender's window on a stream while much of its data is buffered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.layers.http._http2 import Http2Connection

# Bytes that a peer may send on a stream before its window is extended; Go's server has the same.
WINDOW = 1024 * 1024

# Bytes of a stream that may be buffered while its sender's window is still extended.
KEPT = WINDOW // 2


class Brake:
    """Withholds WINDOW_UPDATE frames (RFC 9113, section 5.2) from a sender, for single streams, so that others go on.

    The window of the connection as a whole is mitmproxy's 2 GiB, which streams of 1 MiB do not exhaust.

    Args:
        sender: the connection to the peer that sends.
        kept: returns how many bytes of a stream from the sender are buffered for the receiver.
    """

    def __init__(self, sender: Http2Connection, kept: Callable[[int], int]) -> None:
        self._sender = sender
        self._kept = kept
        self._owed: dict[int, int] = {}
        connection: Any = sender.h2_conn
        self._acknowledge = connection.acknowledge_received_data
        connection.acknowledge_received_data = self._received

    def _received(self, acknowledged_size: int, stream_id: int) -> None:
        if self._kept(stream_id) <= KEPT:
            self._acknowledge(acknowledged_size, stream_id)
        else:
            self._owed[stream_id] = self._owed.get(stream_id, 0) + acknowledged_size

    def release(self) -> layer.CommandGenerator[None]:
        """Extend the windows of streams of which little is buffered now."""
        if self._sender.conn.state is ConnectionState.CLOSED:
            self._owed.clear()
        ready = [stream_id for stream_id in self._owed if self._kept(stream_id) <= KEPT]
        for stream_id in ready:
            self._acknowledge(self._owed.pop(stream_id), stream_id)
        if ready and (data := self._sender.h2_conn.data_to_send()):
            yield commands.SendData(self._sender.conn, data)


def kept_for(receiver: Http2Connection, stream_id: int) -> int:
    """Return how many bytes wait for room in a peer's window."""
    return sum(len(piece.data) for piece in receiver.h2_conn.stream_buffers.get(stream_id, ()))
