"""Listeners accept connections one at a time, while there is room."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from akto_mirror.workers.listener import Listener, Room


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Return a socket that several processes could share."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


class Service:
    """Greets each connection, and serves it until it ends."""

    def __init__(self) -> None:
        self.served = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.served += 1
        writer.write(b"hello\n")
        await reader.read()
        writer.close()


async def greeted(listening: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and wait for the greeting."""
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    assert await reader.readline() == b"hello\n"
    return reader, writer


def test_two_listeners_share_a_socket(listening: socket.socket) -> None:
    """Each connection is served by one listener; after one stops, the other serves all."""

    async def story() -> None:
        one, other = Service(), Service()
        first, second = Listener([listening.dup()], one, Room(9)), Listener([listening.dup()], other, Room(9))
        for _ in range(4):
            await greeted(listening)
        assert one.served + other.served == 4
        first.stop()
        before = one.served
        for _ in range(4):
            await greeted(listening)
        assert (one.served, one.served + other.served) == (before, 8)
        first.close()
        second.close()

    asyncio.run(story())


def test_connections_wait_for_room(listening: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    """Connections beyond the limit are not refused: they wait until another one ends, which is logged once."""

    async def story() -> None:
        service = Service()
        listener = Listener([listening.dup()], service, Room(2))
        _, first = await greeted(listening)
        _second = await greeted(listening)
        waiting = asyncio.create_task(greeted(listening))
        await asyncio.sleep(0)
        assert (service.served, waiting.done()) == (2, False)
        first.close()
        await waiting
        assert service.served == 3
        listener.close()

    asyncio.run(story())
    lines = [each.message for each in caplog.records if each.name == Listener.__module__]
    assert [line.startswith("akto: new connections wait (2 connections)") for line in lines] == [True]


def test_listeners_of_a_process_share_its_descriptors(listening: socket.socket) -> None:
    """A connection to one listener waits while those of another one take all the room."""

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            other.setblocking(False)
            room, service = Room(2), Service()
            listeners = [Listener([each.dup()], service, room) for each in (listening, other)]
            _, first = await greeted(listening)
            _second = await greeted(listening)
            waiting = asyncio.create_task(greeted(other))
            # The connection arrives, and the listener decides about it.
            await asyncio.wait([waiting], timeout=0.1)
            assert (room.taken, service.served) == (2, 2)
            first.close()
            await waiting
            assert (room.taken, service.served) == (2, 3)
            for each in listeners:
                each.close()

    asyncio.run(story())
