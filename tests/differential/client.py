"""The client: plays a plan's connections against a proxy, and records what came back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Sequence
from contextlib import suppress

from h2.errors import ErrorCodes

from tests.differential.http2 import Peer
from tests.differential.plan import Connection, Exchange, Plan, Protocol, Twist
from tests.differential.record import Record
from tests.differential.target import DEADLINE, Sockets, Target
from tests.differential.wire import CUT, Message, Stream, closes, read_head, read_response, status

Address = tuple[str, int]

# Connections at once: enough to keep both processes busy.
CONCURRENCY = 8


def play(plan: Plan, proxy: Sequence[Address], sockets: Sockets) -> Record:
    """Run a plan through a proxy whose two addresses lead to the two sockets."""
    return asyncio.run(_play(plan, proxy, sockets))


async def _play(plan: Plan, proxy: Sequence[Address], sockets: Sockets) -> Record:
    record, target, gate = Record(tuple(port for _, port in proxy)), Target(plan), asyncio.Semaphore(CONCURRENCY)
    async with target.serving(sockets):
        async with asyncio.TaskGroup() as group:
            for connection in plan.connections:
                group.create_task(_limited(gate, connection, proxy, target, record))
        await target.finish(record)
    return record


async def _limited(
    gate: asyncio.Semaphore, connection: Connection, proxy: Sequence[Address], target: Target, record: Record
) -> None:
    async with gate:
        try:
            async with asyncio.timeout(DEADLINE):
                await _connect(connection, proxy, target, record)
        except TimeoutError:
            record.hung.append(f"the client's connection {connection.id}")


async def _connect(connection: Connection, proxy: Sequence[Address], target: Target, record: Record) -> None:
    behind_tls = connection.protocol in (Protocol.HTTP1_TLS, Protocol.HTTP2)
    host, port = proxy[1] if behind_tls else proxy[0]
    context = None if connection.protocol is Protocol.HTTP1 else _tls(connection.protocol)
    name = connection.server_name if context else None
    stream = Stream(*await asyncio.open_connection(host, port, ssl=context, server_hostname=name))
    run = _run_http1 if connection.protocol in (Protocol.HTTP1, Protocol.HTTP1_TLS) else _run_http2
    await run(connection, stream, target, record)
    stream.writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await stream.writer.wait_closed()


def _tls(protocol: Protocol) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"] if protocol is Protocol.HTTP1_TLS else ["h2"])
    return context


async def _run_http1(connection: Connection, stream: Stream, target: Target, record: Record) -> None:
    if connection.pipelined:
        await stream.send(b"".join(each.request.head + each.request.body for each in connection.exchanges))
    for exchange in connection.exchanges:
        messages = await _one(exchange, stream, target, sent=connection.pipelined)
        if messages is None:
            return
        record.answers[exchange.id] = messages
        if stream.ended or not messages or messages[-1].end == CUT or closes(messages[-1]):
            break
    if connection.protocol is Protocol.HTTP1:
        record.ends[connection.id] = await _finish(stream)


async def _one(exchange: Exchange, stream: Stream, target: Target, *, sent: bool) -> tuple[Message, ...] | None:
    """Do one exchange; None if the client leaves in it."""
    proceed = asyncio.Event()
    if exchange.twist is not Twist.CONTINUE:
        proceed.set()
    sender = None if sent else asyncio.create_task(_send(exchange, stream, proceed))
    if exchange.twist in (Twist.CUT_REQUEST, Twist.LEAVES):
        if sender:
            await sender
        await _ready_to_leave(exchange, target)
        return None
    messages = await _answers(exchange, stream, proceed)
    if sender and not proceed.is_set():
        sender.cancel()
    elif sender:
        await sender
    if exchange.twist is Twist.EARLY and not stream.ended:
        await target.reached[exchange.id].wait()
    return messages


async def _send(exchange: Exchange, stream: Stream, proceed: asyncio.Event) -> None:
    await stream.send(exchange.request.head)
    await proceed.wait()
    for piece in exchange.request.split():
        await stream.send(piece)
        await asyncio.sleep(0)


async def _ready_to_leave(exchange: Exchange, target: Target) -> None:
    if exchange.twist is Twist.LEAVES:
        await target.reached[exchange.id].wait()


async def _answers(exchange: Exchange, stream: Stream, proceed: asyncio.Event) -> tuple[Message, ...]:
    messages: list[Message] = []
    while head := await read_head(stream):
        messages.append(await read_response(stream, head, exchange.method))
        if status(head) != 100 or exchange.twist is Twist.INTERIM:
            break
        proceed.set()
    return tuple(messages)


async def _finish(stream: Stream) -> tuple[bytes, str]:
    """End the client's side and collect what else comes; TLS in asyncio cannot be ended on one side only."""
    with suppress(OSError):
        stream.writer.write_eof()
    return await stream.rest(), stream.ended


async def _run_http2(connection: Connection, stream: Stream, target: Target, record: Record) -> None:
    peer = Peer(stream, client=True)
    pump = asyncio.create_task(peer.pump())
    async with asyncio.TaskGroup() as group:
        for exchange in connection.exchanges:
            group.create_task(_stream(exchange, peer, target, record))
    stream.writer.close()
    await pump


async def _stream(exchange: Exchange, peer: Peer, target: Target, record: Record) -> None:
    finish = exchange.twist is not Twist.CUT_REQUEST
    stream_id = peer.open(exchange.request, finish=finish)
    seen = peer.seen[stream_id]
    sender = asyncio.create_task(peer.send_rest(stream_id, exchange.request, finish=finish))
    if exchange.twist in (Twist.CUT_REQUEST, Twist.LEAVES):
        await sender
        await _first(peer.until(lambda: seen.lost), _ready_to_leave(exchange, target))
        peer.reset(stream_id, ErrorCodes.CANCEL)
        if exchange.twist is Twist.LEAVES:
            await _first(peer.until(lambda: seen.lost), target.left[exchange.id].wait())
        return
    await peer.until(lambda: seen.over)
    record.answers[exchange.id] = (*seen.interim, seen.message())
    await sender
    if exchange.twist is Twist.EARLY:
        await _first(peer.until(lambda: seen.lost), target.reached[exchange.id].wait())


async def _first(*works: Coroutine[object, object, object]) -> None:
    """Wait until one of them is done, and give up the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    _, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()
