"""Slack in real transports: when a writer waits, and what is read from a failed connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from akto_mirror.layers.slack import Slack, SlackProtocol

# More than socket and transport buffer, so that the writer has to wait.
MUCH = bytes(4 * 1024 * 1024)


class End(NamedTuple):
    """One end of a connection with mitmproxy's streams, and the socket of its peer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    peer: socket.socket

    async def read(self, size: int) -> None:
        """Read this many bytes at the peer."""
        while size > 0:
            size -= len(await asyncio.get_running_loop().sock_recv(self.peer, size))


@asynccontextmanager
async def connected() -> AsyncIterator[End]:
    """Connect two sockets."""
    ours, peer = socket.socketpair()
    for each in (ours, peer):
        each.setblocking(False)
    with peer:
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            yield End(reader, writer, peer)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)


async def waits(writer: asyncio.StreamWriter) -> bool:
    """Return whether the writer has to wait for its peer."""
    drain = asyncio.ensure_future(writer.drain())
    for _ in range(5):
        await asyncio.sleep(0)
    is_waiting = not drain.done()
    drain.cancel()
    return is_waiting


@pytest.mark.parametrize("is_full_before", [True, False])
def test_a_reader_does_not_wait_while_there_is_slack(is_full_before: bool) -> None:
    """Without slack it waits as usual until its peer reads."""

    async def run() -> None:
        async with connected() as end:
            if is_full_before:
                end.writer.write(MUCH)
            slack = Slack(None, end.writer)
            if not is_full_before:
                assert not await waits(end.writer)
                end.writer.write(MUCH)
            assert await waits(end.writer)
            slack.loosen()
            assert not await waits(end.writer)
            slack.tighten()
            assert await waits(end.writer)
            await asyncio.gather(end.writer.drain(), end.read(len(MUCH)))

    asyncio.run(run())


def test_a_connection_has_one_slack() -> None:
    """The next exchange on the connection starts without slack, and with the same protocol."""

    async def run() -> None:
        async with connected() as end:
            Slack(end.writer, None).loosen()
            first = end.writer.transport.get_protocol()
            end.writer.write(MUCH)
            assert not await waits(end.writer)
            Slack(None, end.writer)
            assert end.writer.transport.get_protocol() is first
            assert await waits(end.writer)

    asyncio.run(run())


def test_the_last_words_of_a_target_are_read() -> None:
    """After a failed write, the response that was already sent is read before the end."""

    async def run() -> None:
        async with connected() as end:
            Slack(None, end.writer)
            end.writer.transport.pause_reading()  # type: ignore[attr-defined] # It can be read.
            end.peer.send(b"answer")
            protocol = end.writer.transport.get_protocol()
            assert isinstance(protocol, SlackProtocol)
            protocol.connection_lost(ConnectionResetError())
            assert await end.reader.read() == b"answer"

    asyncio.run(run())


def test_the_error_of_a_client_is_passed_on() -> None:
    """An error of the client's connection is raised: nothing that it sent matters any more."""

    async def run() -> None:
        async with connected() as end:
            Slack(end.writer, None)
            protocol = end.writer.transport.get_protocol()
            assert isinstance(protocol, SlackProtocol)
            protocol.connection_lost(ConnectionResetError())
            with pytest.raises(ConnectionResetError):
                await end.reader.read()

    asyncio.run(run())


def test_what_is_not_asyncio_s_is_left_alone() -> None:
    """Writers that are not asyncio's, as of QUIC streams, are ignored."""
    slack = Slack(object(), None)
    slack.loosen()
    slack.tighten()
