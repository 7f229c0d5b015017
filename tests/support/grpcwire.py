"""A relay that records what a real gRPC client and server write, and the message frames in it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import grpc
from hyperframe.frame import DataFrame, Frame

from tests.support.grpcpeer import EchoService

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass
class Wire:
    """All bytes of one connection.

    Attributes:
        port: where the client connects.
        sent: the client's bytes.
        answered: the server's bytes.
    """

    port: int
    sent: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)

    def request(self) -> bytes:
        """Return the request's body: the length-prefixed messages."""
        return b"".join(_data(bytes(self.sent).removeprefix(PREFACE)))

    def response(self) -> bytes:
        """Return the response's body."""
        return b"".join(_data(bytes(self.answered)))


def _data(stream: bytes) -> Iterator[bytes]:
    """Yield the payloads of DATA frames (RFC 9113, section 6.1)."""
    while len(stream) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(stream[:9]))
        if isinstance(frame, DataFrame):
            frame.parse_body(memoryview(stream[9 : 9 + length]))
            yield frame.data
        stream = stream[9 + length :]


@contextmanager
def relayed(service: EchoService) -> Iterator[Wire]:
    """Serve without TLS behind a relay, which accepts one connection."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((service.handler(),))
    target = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wire = Wire(listening.getsockname()[1])
        thread = threading.Thread(target=_relay, args=(listening, target, wire), daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            server.stop(None).wait()


def _relay(listening: socket.socket, target: int, wire: Wire) -> None:
    with suppress(OSError):
        client = listening.accept()[0]
        server = socket.create_connection(("127.0.0.1", target))
        for source, sink, kept in ((client, server, wire.sent), (server, client, wire.answered)):
            threading.Thread(target=_copy, args=(source, sink, kept), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    """Record bytes before passing them on, so that the test can read whatever a peer has received."""
    with suppress(OSError):
        while chunk := source.recv(65_536):
            kept += chunk
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
