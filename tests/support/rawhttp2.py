"""An HTTP/2 client without TLS that can send anything."""

from __future__ import annotations

import socket

from h2.connection import H2Connection
from h2.events import ResponseReceived

from tests.support.proxy import DEADLINE


class Raw:
    """An HTTP/2 client on a socket."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.h2 = H2Connection()
        self.h2.initiate_connection()

    def ask(self, stream_id: int = 1, target: str = "/x") -> None:
        """Queue a GET request."""
        fields = [(":method", "GET"), (":scheme", "http"), (":path", target), (":authority", "api.example.test")]
        self.h2.send_headers(stream_id, fields, end_stream=True)

    def flush(self) -> None:
        """Send all queued data."""
        self.socket.sendall(self.h2.data_to_send())

    def until(self, *kinds: type) -> list[object]:
        """Return the events up to the first one of these kinds, or to the end of the connection."""
        events: list[object] = []
        while not any(isinstance(event, kinds) for event in events):
            data = self.socket.recv(65536)
            if not data:
                break
            events += self.h2.receive_data(data)
            self.flush()
        return events


def status(events: list[object]) -> bytes:
    """Return the status of the first answer."""
    (answer,) = (event for event in events if isinstance(event, ResponseReceived))
    return bytes(dict(answer.headers)[b":status"])
