"""The client: runs a plan's connections against a proxy, and records the responses."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass

from h2.errors import ErrorCodes

from tests.differential.http2 import Peer
from tests.differential.plan import SETTLE, Connection, Exchange, Plan, Protocol, Twist
from tests.differential.record import Record
from tests.differential.target import DEADLINE, Sockets, Target
from tests.differential.wire import CUT, Message, Stream, closes, read_head, read_response, status

Address = tuple[str, int]

# Concurrent connections: enough to keep both processes busy.
CONCURRENCY = 8

# The index of the proxy's address for each protocol of the client.
PLACES = {Protocol.HTTP1_TLS: 1, Protocol.HTTP2: 1, Protocol.HTTP2_CLEAR: 2}

# mitmproxy answers this itself, with 400.
REFUSED = b"GET no-slash HTTP/1.1\r\n\r\n"


def play(plan: Plan, proxy: Sequence[Address], sockets: Sockets) -> Record:
    """Run a plan through a proxy whose addresses lead to the sockets, or directly against the sockets' addresses."""
    return asyncio.run(_play(plan, proxy, sockets))


async def _play(plan: Plan, proxy: Sequence[Address], sockets: Sockets) -> Record:
    run = Run(proxy, Target(plan), Record(tuple(port for _, port in proxy)))
    gate = asyncio.Semaphore(CONCURRENCY)
    async with run.target.serving(sockets):
        async with asyncio.TaskGroup() as group:
            for connection in plan.connections:
                group.create_task(_limited(gate, run, connection))
        await run.target.finish(run.record)
    return run.record


@dataclass
class Run:
    """State that the connections of a run share."""

    proxy: Sequence[Address]
    target: Target
    record: Record

    async def connect(self, connection: Connection) -> Stream:
        """Connect to the proxy with the connection's protocol."""
        host, port = self.proxy[PLACES.get(connection.protocol, 0)]
        clear = connection.protocol in (Protocol.HTTP1, Protocol.HTTP2_CLEAR)
        context = None if clear else _tls(connection.protocol)
        name = connection.server_name if context else None
        return Stream(*await asyncio.open_connection(host, port, ssl=context, server_hostname=name))

    async def settle(self) -> None:
        """Wait until the proxy has processed everything sent so far.

        When a client leaves while mitmproxy runs hooks for it, mitmproxy may not notify the target, so that two runs of
        it differ. A request on another connection takes it far more turns of its event loop than a hook.
        """
        stream = Stream(*await asyncio.open_connection(*self.proxy[0]))
        await stream.send(REFUSED)
        await stream.rest()
        await _close(stream)


async def _limited(gate: asyncio.Semaphore, run: Run, connection: Connection) -> None:
    async with gate:
        try:
            async with asyncio.timeout(DEADLINE):
                await _serve(run, connection)
        except TimeoutError:
            run.record.hung.append(f"the client's connection {connection.id}")


async def _serve(run: Run, connection: Connection) -> None:
    stream = await run.connect(connection)
    if connection.protocol in (Protocol.HTTP1, Protocol.HTTP1_TLS):
        await Http1(run, connection, stream).run()
    else:
        await Http2(run, connection, stream).run()
    await _close(stream)


async def _close(stream: Stream) -> None:
    stream.writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await stream.writer.wait_closed()


def _tls(protocol: Protocol) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"] if protocol is Protocol.HTTP1_TLS else ["h2"])
    return context


class Http1:
    """One connection of HTTP/1."""

    def __init__(self, run: Run, connection: Connection, stream: Stream) -> None:
        self._run = run
        self._connection = connection
        self._stream = stream

    async def run(self) -> None:
        """Run the exchanges one after another, until nothing can follow."""
        if self._connection.pipelined:
            await self._stream.send(
                b"".join(each.request.head + each.request.body for each in self._connection.exchanges)
            )
        for exchange in self._connection.exchanges:
            if exchange.twist in (Twist.CUT_REQUEST, Twist.LEAVES):
                await self._leave(exchange)
                return
            messages = await (self._answers(exchange) if self._connection.pipelined else self._exchange(exchange))
            self._run.record.answers[exchange.id] = messages
            if self._stream.ended or not messages or messages[-1].end == CUT or closes(messages[-1]):
                break
        await self._finish()

    async def _leave(self, exchange: Exchange) -> None:
        await self._send(exchange)
        if exchange.twist is Twist.LEAVES:
            await self._run.target.reached[exchange.id].wait()
        await self._run.settle()

    async def _exchange(self, exchange: Exchange) -> tuple[Message, ...]:
        """Send and receive concurrently: a target may respond early."""
        proceed = asyncio.Event()
        if exchange.twist not in (Twist.CONTINUE, Twist.UPGRADE):
            proceed.set()
        sender = asyncio.create_task(self._send(exchange, proceed))
        if exchange.refusal and exchange.refusal.writes_first:
            await asyncio.wait([sender])
        messages = await self._answers(exchange, proceed)
        if exchange.refusal and messages:
            self._run.target.left[exchange.id].set()
        if not proceed.is_set():
            sender.cancel()
            return messages
        await sender
        if exchange.twist in (Twist.EARLY, Twist.IDLE_CLOSE) and not self._stream.ended:
            await self._run.target.reached[exchange.id].wait()
        if exchange.twist is Twist.IDLE_CLOSE:
            await self._run.settle()
        return messages

    async def _send(self, exchange: Exchange, proceed: asyncio.Event | None = None) -> None:
        await self._stream.send(exchange.request.head)
        if proceed:
            await proceed.wait()
        for piece in exchange.request.split():
            await self._stream.send(piece)
            await asyncio.sleep(exchange.refusal.pause if exchange.refusal else 0)

    async def _answers(self, exchange: Exchange, proceed: asyncio.Event | None = None) -> tuple[Message, ...]:
        messages: list[Message] = []
        while head := await read_head(self._stream):
            messages.append(await read_response(self._stream, head, exchange.method))
            if proceed and status(head) in (100, 101):
                proceed.set()
            if status(head) == 101:
                messages.append(Message((), await self._stream.rest(), framing="tunnel"))
            if status(head) != 100 or exchange.twist is Twist.INTERIM:
                break
        return tuple(messages)

    async def _finish(self) -> None:
        """Close the client's side and record what else arrives; asyncio cannot half-close TLS."""
        if self._connection.protocol is not Protocol.HTTP1:
            return
        with suppress(OSError):
            self._stream.writer.write_eof()
        self._run.record.ends[self._connection.id] = (await self._stream.rest(), self._stream.ended)


class Http2:
    """One connection of HTTP/2."""

    def __init__(self, run: Run, connection: Connection, stream: Stream) -> None:
        self._run = run
        self._connection = connection
        self._stream = stream
        self._peer = Peer(stream, client=True)

    async def run(self) -> None:
        """Run all exchanges concurrently, one stream each."""
        pump = asyncio.create_task(self._peer.pump())
        async with asyncio.TaskGroup() as group:
            for exchange in self._connection.exchanges:
                group.create_task(self._exchange(exchange))
        self._stream.writer.close()
        await pump

    async def _exchange(self, exchange: Exchange) -> None:
        finish = exchange.twist is not Twist.CUT_REQUEST
        stream_id = self._peer.open(exchange.request, finish=finish)
        sender = asyncio.create_task(self._peer.send_rest(stream_id, exchange.request, finish=finish))
        if exchange.twist in (Twist.CUT_REQUEST, Twist.LEAVES):
            await sender
            await self._leave(exchange, stream_id)
            return
        seen = self._peer.seen[stream_id]
        await self._peer.until(lambda: seen.over)
        self._run.record.answers[exchange.id] = (*seen.interim, seen.message())
        await sender
        if exchange.twist in (Twist.EARLY, Twist.REFUSED):
            await self._unless_lost(self._run.target.reached[exchange.id].wait())

    async def _settle(self) -> None:
        """Do as `Run.settle` on the same connection, whose hooks wait for those of the other streams."""
        seen = self._peer.seen[self._peer.open(SETTLE.request)]
        await self._peer.until(lambda: seen.over)

    async def _leave(self, exchange: Exchange, stream_id: int) -> None:
        if exchange.twist is Twist.LEAVES:
            await self._unless_lost(self._run.target.reached[exchange.id].wait())
        await self._settle()
        self._peer.reset(stream_id, ErrorCodes.CANCEL)
        if exchange.twist is Twist.LEAVES:
            await self._unless_lost(self._run.target.left[exchange.id].wait())

    async def _unless_lost(self, work: Coroutine[object, object, object]) -> None:
        """Wait for something that cannot happen once the connection is lost."""
        tasks = [asyncio.ensure_future(each) for each in (work, self._peer.until_lost())]
        _, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
