"""A small HTTP/3 server and client, made with the aioquic package, which mitmproxy depends on."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent

from tests.support.certs import Identity

Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class Message:
    """The part of a request or a response that has arrived; header names are in lower case."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class _Peer(QuicConnectionProtocol):
    """One end of a connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.messages: dict[int, Message] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        """Process an event."""
        for part in self.http.handle_event(event):
            self._take(part)

    def _take(self, part: H3Event) -> None:
        if not isinstance(part, HeadersReceived | DataReceived):
            return
        message = self.messages.setdefault(part.stream_id, Message())
        if isinstance(part, HeadersReceived):
            message.headers.update(part.headers)
        else:
            message.body += part.data
        if part.stream_ended:
            message.ended.set()
            self.ended(part.stream_id, message)

    def ended(self, stream: int, message: Message) -> None:
        """Act on a complete message."""

    def send(self, stream: int, headers: Headers, body: bytes) -> None:
        """Send a whole message."""
        self.http.send_headers(stream, list(headers), end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()


class _Server(_Peer):
    """Answers with JSON that holds the request's host, the length of its body, and the body itself."""

    def ended(self, stream: int, message: Message) -> None:
        answer = {"host": message.headers[b":authority"].decode(), "body": message.body.decode()}
        self.send(stream, [(b":status", b"200"), (b"content-type", b"application/json")], json.dumps(answer).encode())


class Client(_Peer):
    """A client's connection."""

    async def ask(self, method: str, authority: str, path: str, headers: Headers = (), body: bytes = b"") -> Message:
        """Send a request and return the whole response."""
        stream = self._quic.get_next_available_stream_id()
        message = self.messages[stream] = Message()
        pseudo = {":method": method, ":scheme": "https", ":authority": authority, ":path": path}
        self.send(stream, [*((name.encode(), value.encode()) for name, value in pseudo.items()), *headers], body)
        await message.ended.wait()
        return message


@contextmanager
def serving_http3(identity: Identity) -> Iterator[int]:
    """Serve on a free UDP port of 127.0.0.1, which is yielded."""
    settings = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
    settings.load_cert_chain(identity.cert, identity.key)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(_listen(settings), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(settings: QuicConfiguration) -> int:
    server = partial(QuicServer, configuration=settings, create_protocol=_Server)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(server, ("127.0.0.1", 0))
    port: int = transport.get_extra_info("sockname")[1]
    return port


@asynccontextmanager
async def connected(port: int, name: str, ca: Path) -> AsyncIterator[Client]:
    """Connect to a port of 127.0.0.1, where a server has a certificate for `name`."""
    settings = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=True, server_name=name, cafile=str(ca))
    make = partial(Client, QuicConnection(configuration=settings))
    transport, client = await asyncio.get_running_loop().create_datagram_endpoint(make, ("127.0.0.1", 0))
    try:
        client.connect(("127.0.0.1", port))
        await client.wait_connected()
        yield client
        client.close()
        await client.wait_closed()
    finally:
        transport.close()
