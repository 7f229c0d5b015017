"""The target: answers each exchange as planned, and records what it receives."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from weakref import WeakKeyDictionary

from h2.errors import ErrorCodes

from tests.differential.http2 import Peer
from tests.differential.plan import ID_HEADER, SETTLE, End, Exchange, Plan, Refusal, Twist
from tests.differential.record import Arrival, Record
from tests.differential.wire import (
    COMPLETE,
    CUT,
    FIELD,
    HEAD_END,
    Message,
    Stream,
    body_length,
    is_chunked,
    lines_of,
    read_head,
    read_request,
)
from tests.support.proxy import confdir

# Seconds to wait for the end of a connection; generous, because a busy machine is not an error.
DEADLINE = 30.0

# FIN or RST is up to the kernel: a socket that is closed before everything was read from it sends an RST.
PROXY = "ended by the proxy"

CHUNK = re.compile(rb"(?:\r\n)?([0-9a-fA-F]+)[^\r\n]*\r\n")

ID = re.compile(rb"(?im)^" + ID_HEADER + rb"(?:: *|" + FIELD + rb")([\w.]+)")


@dataclass
class Sockets:
    """The listening sockets, which outlive a run: both mitmdumps connect to the same ports."""

    plain: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=256))
    tls: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=256))
    clear: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=256))

    def modes(self) -> tuple[str, str, str]:
        """The modes of a proxy in front of the sockets."""
        return (
            f"reverse:http://127.0.0.1:{_port(self.plain)}",
            f"reverse:https://localhost:{_port(self.tls)}",
            f"reverse:http://127.0.0.1:{_port(self.clear)}",
        )

    def addresses(self) -> list[tuple[str, int]]:
        """The sockets' addresses, for a client without a proxy."""
        return [("127.0.0.1", _port(each)) for each in (self.plain, self.tls, self.clear)]

    def close(self) -> None:
        """Stop listening."""
        self.plain.close()
        self.tls.close()
        self.clear.close()


@dataclass
class Upstream:
    """A connection that the target accepted; `several` means that its streams have no order."""

    server_name: str = ""
    protocol: str = ""
    several: bool = False
    requests: list[tuple[str, Message]] = field(default_factory=list)
    stray: bytes = b""
    end: str = ""

    def note(self, record: Record) -> None:
        """Add what was received to the record of the run."""
        for position, (name, message) in enumerate(self.requests):
            place = 0 if self.several else position
            arrival = Arrival(message, place, self.server_name, self.protocol, self.end)
            record.arrivals[name].append(arrival)
        # The requests' positions show the number of connections; a request that its client breaks off may need one
        # more where it is streamed.
        if self.stray:
            record.strays.append(self.stray)


class Target:
    """Serves one run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._exchanges = plan.exchanges() | {SETTLE.id: SETTLE}
        self._upstreams: dict[asyncio.Task[None], Upstream] = {}
        self._names: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()
        # Set once the target has sent everything and, if the client stays, has read the whole request.
        self.reached = {name: asyncio.Event() for name in self._exchanges}
        # Set once an HTTP/2 stream that the client left has ended here.
        self.left = {name: asyncio.Event() for name in self._exchanges}

    @asynccontextmanager
    async def serving(self, sockets: Sockets) -> AsyncIterator[None]:
        """Accept connections until the block ends."""
        plain = await asyncio.start_server(self._accept, sock=sockets.plain.dup())
        tls = await asyncio.start_server(self._accept, sock=sockets.tls.dup(), ssl=self._tls())
        clear = await asyncio.start_server(partial(self._accept, protocol="h2"), sock=sockets.clear.dup())
        async with plain, tls, clear:
            yield

    async def finish(self, record: Record) -> None:
        """Wait until the proxy has closed every connection, and add what was received to the record."""
        if self._upstreams:
            _, late = await asyncio.wait(self._upstreams, timeout=DEADLINE)
            for task in late:
                task.cancel()
                reached = [name for name, _ in self._upstreams[task].requests]
                record.hung.append(f"a connection to the target, after {reached}")
        for upstream in self._upstreams.values():
            upstream.note(record)
        record.strays.sort()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(confdir() / "mitmproxy-ca.pem")
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.sni_callback = lambda tls, name, _: self._named(tls, name)
        return context

    def _named(self, tls: object, name: str | None) -> None:
        if isinstance(tls, ssl.SSLObject):
            self._names[tls] = name or ""

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: str = "") -> None:
        tls = writer.get_extra_info("ssl_object")
        agreed = tls.selected_alpn_protocol() if tls else protocol
        upstream = Upstream(self._names.get(tls, "") if tls else "", agreed or "")
        task = asyncio.create_task(self._serve(Stream(reader, writer), upstream))
        self._upstreams[task] = upstream

    async def _serve(self, stream: Stream, upstream: Upstream) -> None:
        try:
            await (self._serve_http2 if upstream.protocol == "h2" else self._serve_http1)(stream, upstream)
        finally:
            stream.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await stream.writer.wait_closed()

    async def _serve_http1(self, stream: Stream, upstream: Upstream) -> None:
        while not upstream.end:
            await self._serve_one(stream, upstream)

    async def _serve_one(self, stream: Stream, upstream: Upstream) -> None:
        head = await read_head(stream)
        exchange = self._find(head) if head.endswith(HEAD_END) else None
        if exchange is None:
            upstream.stray = head + await stream.rest()
            upstream.end = PROXY
            return
        if exchange.refusal:
            await self._refuse(stream, upstream, exchange, head, exchange.refusal)
            return
        if exchange.twist is Twist.EARLY:
            await _answer(stream, exchange)
        message = await read_request(stream, head)
        if exchange.twist is Twist.UPGRADE:
            await stream.send(exchange.answer.head)
            message = replace(message, body=await stream.exactly(len(exchange.request.body)), framing="tunnel")
        upstream.requests.append((exchange.id, message))
        if message.end == CUT:
            upstream.end = PROXY
            return
        if exchange.twist is not Twist.EARLY:
            await _answer(stream, exchange)
        await self._after(stream, upstream, exchange)

    async def _refuse(
        self, stream: Stream, upstream: Upstream, exchange: Exchange, head: bytes, refusal: Refusal
    ) -> None:
        """Respond in the middle of an upload; what is read after that is not recorded."""
        read = _BodyReader(stream, head)
        await read.at_least(refusal.after, refusal.pause)
        # In one piece: mitmproxy would not read a second one while the target reads nothing.
        await stream.send(exchange.answer.head + exchange.answer.body)
        self.reached[exchange.id].set()
        if refusal.end in (End.LINGERS, End.STOPS):
            stream.writer.write_eof()
        if refusal.end in (End.READS, End.LINGERS):
            await read.all()
        if refusal.end is End.STOPS:
            await self.left[exchange.id].wait()
        if refusal.end is End.RESETS:
            stream.writer.transport.abort()
        reads_all = refusal.end in (End.READS, End.LINGERS)
        body = bytes(read.body if reads_all else read.body[: refusal.after])
        end = read.end if reads_all else "not read"
        upstream.requests.append((exchange.id, Message(lines_of(head), body, framing=read.framing, end=end)))
        if refusal.end is not End.READS or read.end == CUT:
            upstream.end = "ended by the target"

    async def _after(self, stream: Stream, upstream: Upstream, exchange: Exchange) -> None:
        self.reached[exchange.id].set()
        if exchange.twist is Twist.LEAVES:
            upstream.stray = await stream.rest()
            upstream.end = PROXY
        elif exchange.closes:
            upstream.end = "ended by the target"

    def _find(self, head: bytes) -> Exchange | None:
        found = ID.search(head)
        return self._exchanges.get(found[1].decode()) if found else None

    async def _serve_http2(self, stream: Stream, upstream: Upstream) -> None:
        upstream.several = True
        peer = Peer(stream, client=False)
        async with asyncio.TaskGroup() as streams:
            await peer.pump(lambda stream_id: _start(streams, self._serve_stream(peer, stream_id, upstream)))
        upstream.end = PROXY

    async def _serve_stream(self, peer: Peer, stream_id: int, upstream: Upstream) -> None:
        seen = peer.seen[stream_id]
        exchange = self._find(b"\n".join(seen.head))
        if exchange is None:
            upstream.stray += b"\n".join(seen.head)
            return
        if exchange is SETTLE:
            await peer.send(stream_id, exchange.answer)
            return
        if exchange.refusal:
            await self._refuse_stream(peer, stream_id, upstream, exchange, exchange.refusal)
            return
        if exchange.twist is not Twist.EARLY:
            await peer.until(lambda: seen.over)
        if not seen.reset and not seen.lost:
            await _answer_stream(peer, stream_id, exchange)
        if exchange.twist is Twist.LEAVES:
            self.reached[exchange.id].set()
            await peer.until(lambda: seen.lost or bool(seen.reset))
        await peer.until(lambda: seen.over)
        self.reached[exchange.id].set()
        self.left[exchange.id].set()
        upstream.requests.append((exchange.id, seen.message()))

    async def _refuse_stream(
        self, peer: Peer, stream_id: int, upstream: Upstream, exchange: Exchange, refusal: Refusal
    ) -> None:
        """Respond in the middle of an upload, and read on or reset the stream (RFC 9113, section 8.1)."""
        seen = peer.seen[stream_id]
        await peer.until(lambda: seen.over or len(seen.body) >= refusal.after)
        await peer.send(stream_id, exchange.answer)
        if refusal.end is End.READS:
            await peer.until(lambda: seen.over)
            message = seen.message()
        else:
            peer.reset(stream_id, ErrorCodes.NO_ERROR)
            message = Message(seen.head, bytes(seen.body[: refusal.after]), framing="ended", end="not read")
        upstream.requests.append((exchange.id, message))
        self.reached[exchange.id].set()


class _BodyReader:
    """Reads a request's body in parts."""

    def __init__(self, stream: Stream, head: bytes) -> None:
        self._stream = stream
        self._is_chunked = is_chunked(head)
        self._left = 0 if self._is_chunked else body_length(head) or 0
        self.body = bytearray()
        self.framing = "chunked" if self._is_chunked else "length"
        self.end = CUT

    async def at_least(self, size: int, pause: float = 0) -> None:
        """Read at least this many bytes of the body, or to its end."""
        while len(self.body) < size and await self._more():
            await asyncio.sleep(pause)

    async def all(self) -> None:
        """Read to the end of the body."""
        while await self._more():
            pass

    async def _more(self) -> bool:
        """Read the next bytes; False at the end."""
        if self.end == COMPLETE or (not self._stream.buffer and not await self._stream.more()):
            return False
        if self._is_chunked and not self._left:
            return await self._begin_chunk()
        data = self._stream.take(self._left)
        self.body += data
        self._left -= len(data)
        if not self._left and not self._is_chunked:
            self.end = COMPLETE
        return True

    async def _begin_chunk(self) -> bool:
        """Read the head of a chunk, after the line end of the previous chunk."""
        while not (found := CHUNK.match(self._stream.buffer)):
            if not await self._stream.more():
                return False
        self._left = int(found[1], 16)
        self._stream.take(found.end())
        if not self._left:
            await self._stream.exactly(2)
            self.end = COMPLETE
        return True


def _start(group: asyncio.TaskGroup, work: object) -> None:
    group.create_task(work)  # type: ignore[arg-type]


async def _answer(stream: Stream, exchange: Exchange) -> None:
    """Write the response; an interim response goes in the same piece as the head after it."""
    interim = exchange.interim.head if exchange.interim else b""
    if exchange.twist is not Twist.UPGRADE:
        await stream.send(interim + exchange.answer.head)
    for piece in exchange.answer.split():
        await stream.send(piece)
        await asyncio.sleep(0)


async def _answer_stream(peer: Peer, stream_id: int, exchange: Exchange) -> None:
    if exchange.interim:
        peer.connection.send_headers(stream_id, list(exchange.interim.fields))
    partial = exchange.twist in (Twist.LEAVES, Twist.CUT_ANSWER)
    if exchange.answer.fields:
        await peer.send(stream_id, exchange.answer, finish=not partial)
    if exchange.twist is Twist.CUT_ANSWER:
        peer.reset(stream_id, ErrorCodes.INTERNAL_ERROR)


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])
