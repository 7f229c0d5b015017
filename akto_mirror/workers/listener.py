"""Accepts connections on sockets that are shared with other processes, in place of an asyncio server.

asyncio's server accepts a hundred connections at a time, so that one process would get a whole burst, and when it is
closed it loses connections that it is just accepting.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from akto_mirror import counts

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

# Seconds between two checks whether there is room again, and between two log lines about that.
LOOK_S = 0.02
LINE_S = 60.0

# Bytes that asyncio's servers read ahead.
LIMIT = 2**16

logger = logging.getLogger(__name__)


class Room:
    """Counts a process's connections, which all its listeners together accept up to a limit.

    Args:
        most: the most connections at a time.

    Attributes:
        taken: the number of connections.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    @property
    def is_full(self) -> bool:
        """Whether no further connection may be accepted."""
        return self.taken >= self._most


class Listener:
    """Serves as many connections at a time as there are descriptors for; others wait in the kernel's queue.

    Args:
        sockets: non-blocking listening sockets.
        serve: serves a connection.
        room: counts the connections of all the process's listeners.

    Attributes:
        sockets: the given sockets, for mitmproxy, which shows where it listens.
    """

    def __init__(self, sockets: Sequence[socket.socket], serve: Serve, room: Room) -> None:
        self.sockets = tuple(sockets)
        self._serve = serve
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._accepts = False
        self._is_over = False
        self._logged_at = float("-inf")
        self._taking: set[asyncio.Task[None]] = set()
        self._resume()

    def stop(self) -> None:
        """Stop accepting; waiting connections are accepted by another process."""
        self._is_over = True
        self._pause()

    def close(self) -> None:
        """Stop accepting, and close the sockets."""
        self.stop()
        for each in self.sockets:
            each.close()

    def _resume(self) -> None:
        if self._is_over or self._accepts:
            return
        if self._room.is_full:
            self._loop.call_later(LOOK_S, self._resume)
            return
        self._accepts = True
        for each in self.sockets:
            self._loop.add_reader(each.fileno(), self._accept, each)

    def _pause(self) -> None:
        if self._accepts:
            self._accepts = False
            for each in self.sockets:
                self._loop.remove_reader(each.fileno())

    def _accept(self, listening: socket.socket) -> None:
        if self._room.is_full:
            self._wait(counts.count(self._room.taken, "connection"))
            return
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            # Another process was faster, or the client has disconnected.
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            self._wait(error.strerror or "no more descriptors")
            return
        accepted.setblocking(False)
        self._room.taken += 1
        task = self._loop.create_task(self._take(accepted))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    def _wait(self, why: str) -> None:
        """Let new connections wait until there is room."""
        self._pause()
        self._loop.call_later(LOOK_S, self._resume)
        if self._loop.time() - self._logged_at >= LINE_S:
            self._logged_at = self._loop.time()
            logger.warning("akto: new connections wait (%s); to serve more at a time, raise the limit (ulimit -n)", why)

    async def _take(self, accepted: socket.socket) -> None:
        reader = asyncio.StreamReader(limit=LIMIT, loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, self._serve_counted, loop=self._loop)
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, accepted)
        except OSError:
            self._room.taken -= 1
            accepted.close()

    async def _serve_counted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            self._room.taken -= 1
