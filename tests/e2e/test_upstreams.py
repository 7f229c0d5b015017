"""One client connection may have many live streams, each with a separate connection to the target."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.differential.http2 import Peer
from tests.differential.plan import Half
from tests.differential.wire import Stream, read_head
from tests.support.proxy import ADDON, DEADLINE, running_mitmdump

pytestmark = pytest.mark.e2e

# mitmproxy allows an HTTP/2 client 100 streams at once.
LIVE = 95

EVENT = b"data: 1\n\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer `/live` with one event on a stream that stays open, and all other paths at once."""
    stream = Stream(reader, writer)
    head = await read_head(stream)
    if b" /live " in head:
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        await stream.send(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
        await stream.rest()
    else:
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    writer.close()


def get(path: bytes) -> Half:
    """Make a GET over HTTP/2."""
    return Half(
        fields=((b":method", b"GET"), (b":scheme", b"https"), (b":path", path), (b":authority", b"api.example.test"))
    )


async def ask(host: str, port: int) -> bytes:
    """Open the live streams on one connection and, once each has its event, send one more request."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    peer = Peer(Stream(*await asyncio.open_connection(host, port, ssl=context)), client=True)
    pump = asyncio.create_task(peer.pump())
    try:
        async with asyncio.timeout(DEADLINE):
            return await _one_more(peer)
    finally:
        peer.stream.writer.close()
        await pump


async def _one_more(peer: Peer) -> bytes:
    live = [peer.seen[peer.open(get(b"/live"))] for _ in range(LIVE)]
    await peer.until(lambda: all(seen.body == EVENT or seen.over for seen in live))
    assert not any(seen.over for seen in live)
    more = peer.seen[peer.open(get(b"/more"))]
    await peer.until(lambda: more.over)
    return bytes(more.body)


async def play(folder: Path) -> bytes:
    """Run a target and a proxy in front of it."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {"akto_url": (folder / "entries.ndjson").as_uri(), "ssl_insecure": "true"}
    with running_mitmdump(f"reverse:http://127.0.0.1:{port}", options=options, scripts=(ADDON,)) as proxy:
        async with server:
            return await ask(*proxy.addresses[0])


def test_a_client_with_95_live_streams_gets_one_more_answer(tmp_path: Path) -> None:
    """All streams are on one HTTP/2 connection, in front of an HTTP/1 target; mitmproxy alone would stop at five."""
    assert asyncio.run(play(tmp_path)) == b"ok"
