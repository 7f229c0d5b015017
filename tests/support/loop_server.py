"""A server on a separate event loop, which runs on a thread of this process."""

from __future__ import annotations

import asyncio
import ssl
import threading
from abc import abstractmethod
from collections.abc import Callable

from akto_mirror.background_server import Running


class LoopServer(Running):
    """Listens on a free port of 127.0.0.1; also a context manager.

    Args:
        context: the TLS context; None serves without TLS.

    Attributes:
        port: the port, once the server has started.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._context = context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End all connections."""
        self.call(self._halt.set)
        self._thread.join(30)

    def call(self, act: Callable[[], None]) -> None:
        """Call a function on the loop's thread."""
        assert self._loop
        self._loop.call_soon_threadsafe(act)

    @abstractmethod
    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection; it is cancelled when the server stops."""

    async def _serve(self) -> None:
        self._loop, self._halt = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._halt.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
