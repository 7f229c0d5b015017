"""A small HTTP/2 server, with or without TLS, made with the h2 package: tornado has none."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from tests.support.certs import Identity


@dataclass
class _Request:
    authority: str
    body: bytes = b""


@contextmanager
def serving_http2(identity: Identity | None) -> Iterator[int]:
    """Serve on a free port, which is yielded; every answer is JSON with the request's host and body."""
    context = identity.server_context("h2") if identity else None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, context), daemon=True).start()
        yield listening.getsockname()[1]


def _accept(listening: socket.socket, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):  # The with block closes the listening socket at its end.
        while True:
            threading.Thread(target=_serve, args=(listening.accept()[0], context), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext | None) -> None:
    connection = H2Connection(H2Configuration(client_side=False, header_encoding=False))
    connection.initiate_connection()
    open_requests: dict[int, _Request] = {}
    with suppress(OSError), context.wrap_socket(raw, server_side=True) if context else raw as peer:
        peer.sendall(connection.data_to_send())
        while data := peer.recv(65536):
            for event in connection.receive_data(data):
                _handle(event, connection, open_requests)
            peer.sendall(connection.data_to_send())


def _handle(event: object, connection: H2Connection, open_requests: dict[int, _Request]) -> None:
    if isinstance(event, RequestReceived):
        open_requests[event.stream_id] = _Request(dict(event.headers)[b":authority"].decode())
    elif isinstance(event, DataReceived):
        open_requests[event.stream_id].body += event.data
        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    elif isinstance(event, StreamEnded):
        request = open_requests.pop(event.stream_id)
        answer = {"host": request.authority, "body": request.body.decode()}
        connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
        connection.send_data(event.stream_id, json.dumps(answer).encode(), end_stream=True)
