"""A body without a length, from an HTTP/2 client to an HTTP/1 target, arrives as one request."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.differential.http2 import Peer
from tests.differential.plan import Half
from tests.differential.wire import Stream
from tests.support.proxy import ADDON, DEADLINE, running_mitmdump

pytestmark = pytest.mark.e2e

# Without framing the target would read it as the next request.
HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: api.example.test\r\n\r\n"

FRAMED = re.compile(rb"(?i)^(content-length|transfer-encoding):", re.MULTILINE)

Seen = list[tuple[bytes, bytes, bool]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def request(method: bytes, body: bytes, *, lone_end: bool = False) -> Half:
    """Make a request without a length."""
    fields = (
        (b":method", method),
        (b":scheme", b"https"),
        (b":path", b"/orders"),
        (b":authority", b"api.example.test"),
    )
    return Half(fields=fields, body=body, pieces=2, lone_end=lone_end)


def target(seen: Seen) -> Serve:
    """Answer each request, and record its method, its body, and whether its head announces a body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await _body(head.lower(), reader)
                seen.append((head.partition(b" ")[0], body, FRAMED.search(head) is not None))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    return serve


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if b"transfer-encoding: chunked" in head:
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length or 0))


async def play(folder: Path, stream: str, asked: list[Half], *, plain: bool = False) -> Seen:
    """Send the requests one after another on one connection, and return what the target has read."""
    seen: Seen = []
    server = await asyncio.start_server(target(seen), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {} if plain else {"akto_url": (folder / "entries.ndjson").as_uri(), "akto_stream": stream}
    scripts = () if plain else (ADDON,)
    with running_mitmdump(f"reverse:http://127.0.0.1:{port}", options=options, scripts=scripts) as proxy:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        peer = Peer(Stream(*await asyncio.open_connection(*proxy.addresses[0], ssl=context)), client=True)
        pump = asyncio.create_task(peer.pump())
        async with server, asyncio.timeout(DEADLINE):
            for half in asked:
                number = peer.open(half)
                if half.body:
                    peer.connection.send_data(number, b"")  # An empty frame, which does not end the stream.
                await peer.send_rest(number, half)
                await peer.until(lambda number=number: peer.seen[number].over)  # type: ignore[misc]
            peer.stream.writer.close()
            await pump
    return seen


@pytest.mark.parametrize("stream", ["auto", "always", "never"])
def test_a_body_without_a_length_is_one_request(tmp_path: Path, stream: str) -> None:
    """The body is one request, streamed or not, even after an empty frame."""
    asked = [request(b"POST", HIDDEN), request(b"DELETE", HIDDEN)]
    assert asyncio.run(play(tmp_path, stream, asked)) == [(b"POST", HIDDEN, True), (b"DELETE", HIDDEN, True)]


@pytest.mark.parametrize("stream", ["auto", "always"])
def test_a_request_without_a_body_is_as_with_plain_mitmdump(tmp_path: Path, stream: str) -> None:
    """Such a request has no chunks, whichever frame ends it: some servers refuse those of an empty body."""
    asked = [request(method, b"", lone_end=lone) for method in (b"GET", b"POST") for lone in (False, True)]
    plain = asyncio.run(play(tmp_path, stream, asked, plain=True))
    assert asyncio.run(play(tmp_path, stream, asked)) == plain
    assert plain == [(b"GET", b"", False)] * 2 + [(b"POST", b"", False)] * 2
