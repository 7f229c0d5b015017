"""Slack in real transports: whose reader waits for whom, and what of a failed one is still read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from akto_mirror.layers.slack import Slack, SlackProtocol

# More than a socket and a transport take before the writer has to wait.
MUCH = bytes(4 * 1024 * 1024)


class End(NamedTuple):
    """One end of a connection as mitmproxy has it, and the socket at the other one."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    peer: socket.socket

    async def read(self, size: int) -> None:
        """Let the peer read."""
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
    """Return whether a writer has to wait for its peer."""
    drain = asyncio.ensure_future(writer.drain())
    for _ in range(5):
        await asyncio.sleep(0)
    is_waiting = not drain.done()
    drain.cancel()
    return is_waiting


@pytest.mark.parametrize("is_full_before", [True, False])
def test_a_reader_does_not_wait_while_there_is_slack(is_full_before: bool) -> None:
    """Before and after, it waits as usual, until its peer reads."""

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
    """The next exchange on it begins tight, and puts no second protocol before the first."""

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
    """Where a write to it has failed, what it had sent before comes first, and then its end."""

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
    """Nothing that it had sent matters any more."""

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
    """QUIC's streams have writers of another kind."""
    slack = Slack(object(), None)
    slack.loosen()
    slack.tighten()
