"""The peers of a parity run: a target and a client with raw sockets, and a collector of entries."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.parity.wire import ACCEPT_PLACEHOLDER, CASE_HEADER, Request, Response

Entry = dict[str, str]

# Generous, because a busy machine is not an error.
TIMEOUT_S = 30.0
SENTINEL = "sentinel-"
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE_FRAME = b"\x88\x02\x03\xe8"
MASKED_CLOSE_FRAME = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
CASE_LINE = re.compile(rb"^" + CASE_HEADER + rb":[ \t]*([a-z0-9-]+)", re.IGNORECASE | re.MULTILINE)
KEY_LINE = re.compile(rb"^sec-websocket-key:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
LENGTH_LINE = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
CHUNKED_LINE = re.compile(rb"^transfer-encoding:[ \t]*chunked", re.IGNORECASE | re.MULTILINE)
LAST_CHUNK = re.compile(rb"(?:\A|\n)0\r\n(?:[^\r\n]+\r\n)*\r\n\Z")
INTERIM = re.compile(rb"\AHTTP/1\.1 1(?!01)\d\d")


def sentinel(number: int) -> bytes:
    """Return a request that is always captured; its entry shows that earlier requests have been handled."""
    name = f"{SENTINEL}{number}"
    return Request(target=b"/" + name.encode()).encode(name)


def body_complete(head: bytes, body: bytes, unframed: bool) -> bool:
    """Return whether `body` is as long as `head` announces, or `unframed` if it announces nothing."""
    if CHUNKED_LINE.search(head):
        return bool(LAST_CHUNK.search(body[-256:]))
    length = LENGTH_LINE.search(head)
    return len(body) >= int(length[1]) if length else unframed


def receive(connection: socket.socket, complete: Callable[[bytes], bool]) -> bytes:
    """Read until `complete`, the end of the stream, an error or the time limit."""
    data = b""
    with suppress(OSError):
        while not complete(data) and (part := connection.recv(65536)):
            data += part
    return data


def request_complete(data: bytes) -> bool:
    """Return whether `data` is a whole request."""
    head, end, body = data.partition(b"\r\n\r\n")
    return bool(end) and body_complete(head, body, unframed=True)


def response_complete(data: bytes, to_head: bool) -> bool:
    """Return whether `data` is a whole response; one that ends with the connection never is."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if INTERIM.match(head):
        return response_complete(body, to_head)
    if to_head or head[9:12] in (b"204", b"304"):
        return True
    if head[9:12] == b"101":
        return bool(body)
    return body_complete(head, body, unframed=False)


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections on a free port, each in a separate thread, and yield the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        thread = threading.Thread(target=_accept, args=(listener, handle), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(TIMEOUT_S)


def _accept(listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_handle, args=(connection, handle), daemon=True).start()


def _handle(connection: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    with connection:
        connection.settimeout(TIMEOUT_S)
        with suppress(OSError):
            handle(connection)


@contextmanager
def target(answers: Mapping[str, bytes]) -> Iterator[int]:
    """Serve the canned responses, selected by the request's `x-case` header; yield the port."""

    def handle(connection: socket.socket) -> None:
        _answer(connection, receive(connection, request_complete), answers)

    with serving(handle) as port:
        yield port


def _answer(connection: socket.socket, request: bytes, answers: Mapping[str, bytes]) -> None:
    named = CASE_LINE.search(request)
    if named is None:
        return
    name = named[1].decode()
    answer = Response().encode() if name.startswith(SENTINEL) else answers[name]
    connection.sendall(answer.replace(ACCEPT_PLACEHOLDER, _accept_key(request)))
    if answer.startswith(b"HTTP/1.1 101"):
        connection.sendall(CLOSE_FRAME)
        receive(connection, bool)
    connection.shutdown(socket.SHUT_WR)
    receive(connection, lambda _: False)


def _accept_key(request: bytes) -> bytes:
    key = KEY_LINE.search(request)
    digest = hashlib.sha1((key[1] if key else b"") + WEBSOCKET_GUID, usedforsecurity=False)
    return base64.b64encode(digest.digest())


def exchange(port: int, request: bytes, patience_s: float = TIMEOUT_S) -> bytes:
    """Send `request` over a new connection and return the bytes that came back in time."""
    to_head = request.startswith(b"HEAD ")
    with socket.create_connection(("127.0.0.1", port), patience_s) as connection:
        with suppress(OSError):
            connection.sendall(request)
        data = receive(connection, lambda data: response_complete(data, to_head))
        if data.startswith(b"HTTP/1.1 101"):
            with suppress(OSError):
                connection.sendall(MASKED_CLOSE_FRAME)
            receive(connection, lambda _: False)
        return data


class Collector:
    """The entries that arrived, by the `x-case` header in their requestHeaders."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}
        self._arrived = threading.Condition()

    def add(self, body: bytes) -> None:
        """Take the body of one `POST /api/ingestData`."""
        batch: list[Entry] = json.loads(body)["batchData"]
        with self._arrived:
            for entry in batch:
                name = json.loads(entry["requestHeaders"]).get(CASE_HEADER.decode(), "")
                self._entries.setdefault(name, []).append(entry)
            self._arrived.notify_all()

    def of(self, name: str) -> list[Entry]:
        """Return the entries of a case so far."""
        with self._arrived:
            return list(self._entries.get(name, ()))

    def names(self) -> set[str]:
        """Return the names under which entries arrived, without the sentinels."""
        with self._arrived:
            return {name for name in self._entries if not name.startswith(SENTINEL)}

    def wait_for(self, names: Iterable[str], timeout_s: float = 30.0) -> bool:
        """Wait until each of `names` has an entry; returns False on timeout."""
        wanted = set(names)
        with self._arrived:
            return self._arrived.wait_for(lambda: wanted <= self._entries.keys(), timeout_s)


class IngestionServer(ThreadingHTTPServer):
    """An HTTP server that does not report clients that hang up."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Report any error but a lost connection: the Worker never reads the answer to its POST."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def ingestion(collector: Collector) -> Iterator[int]:
    """Serve the ingestion endpoint over HTTP on a free port, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            collector.add(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = IngestionServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(TIMEOUT_S)


def wait_until(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.01) -> bool:
    """Poll `condition` until it holds; returns False on timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval_s)
    return True
