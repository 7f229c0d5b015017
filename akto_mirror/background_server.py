"""Serves a tornado application on its own thread."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from tornado import netutil
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application

from akto_mirror.escaping import host_and_port

# A body is held in memory as a whole before its handler is called, unless the handler asks to read it in pieces.
MAX_BODY_BYTES = 16 * 1024 * 1024


# Seconds between log lines about connections that cannot be accepted, and between attempts to accept them.
_CROWD_LINE_S = 60.0
_CROWD_TRY_S = 0.02

logger = logging.getLogger(__name__)


class _Crowd:
    """Logs once a minute that file descriptors have run out, and waits; the event loop would retry at once."""

    def __init__(self) -> None:
        self._logged_at = float("-inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
            return
        if time.monotonic() - self._logged_at >= _CROWD_LINE_S:
            self._logged_at = time.monotonic()
            logger.error("no more connections can be accepted (%s); raise the limit with ulimit -n", error.strerror)
        # The loop would try again at once.
        time.sleep(_CROWD_TRY_S)


class _Server(HTTPServer):
    """An HTTP server that closes connections beyond `most` at once; None: no limit."""

    most: int | None = None

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Accept a connection, unless there are too many."""
        streams = self.__dict__.setdefault("_streams", WeakSet())
        if self.most is not None and sum(not each.closed() for each in streams) >= self.most:
            stream.close()
            return
        streams.add(stream)
        super().handle_stream(stream, address)


class Running:
    """A context manager that calls `start` and `stop`."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class BackgroundServer(Running):
    """Serves an application on a thread with its own event loop; also a context manager.

    Args:
        app: The tornado application.
        host: The address to listen on.
        port: The TCP port; 0 takes a free one, which a later start takes again.
        uds: Path of a Unix socket to listen on instead.
        ssl_context: Serves TLS with this server context.
        max_body_bytes: The longest request body; a handler that reads in pieces may allow itself more.
        max_clients: Connections at a time; further ones are closed at once. None: no limit but that of descriptors.
        client_s: Seconds in which a client has to send its request, or the next one.
        bind: Opens the sockets of a host and port, instead of tornado.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own, given by name
        self,
        app: Application,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        uds: Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_clients: int | None = None,
        client_s: float = 3600.0,
        bind: Callable[[str, int], list[socket.socket]] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.uds = uds
        self._app = app
        self._ssl_context = ssl_context
        self._max_body_bytes = max_body_bytes
        self._max_clients = max_clients
        self._client_s = client_s
        self._open = bind or _bind
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._halt: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """The base URL, without a path; with a Unix socket, one with a made-up host."""
        if self.uds is not None:
            return "http://localhost"
        scheme = "https" if self._ssl_context else "http"
        return f"{scheme}://{host_and_port(self.host, self.port)}"

    def start(self) -> None:
        """Listen, and serve until `stop`.

        Raises:
            OSError: If it cannot listen there.
        """
        sockets = self._bind()
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(sockets, ready)), daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Close the listening sockets and every connection; harmless if it does not run."""
        if self._thread is None or self._loop is None or self._halt is None:
            return
        self._loop.call_soon_threadsafe(self._halt.set)
        self._thread.join()
        self._thread = None
        if self.uds is not None:
            self.uds.unlink(missing_ok=True)

    def _bind(self) -> list[socket.socket]:
        if self.uds is not None:
            return [netutil.bind_unix_socket(str(self.uds))]
        sockets = self._open(self.host, self.port)
        self.port = sockets[0].getsockname()[1]
        return sockets

    async def _serve(self, sockets: list[socket.socket], ready: threading.Event) -> None:
        server = _Server(
            self._app,
            ssl_options=self._ssl_context,
            max_body_size=self._max_body_bytes,
            idle_connection_timeout=self._client_s,
            body_timeout=self._client_s,
        )
        server.most = self._max_clients
        server.add_sockets(sockets)
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_Crowd())
        self._halt = asyncio.Event()
        ready.set()
        await self._halt.wait()
        server.stop()
        await server.close_all_connections()


def _bind(host: str, port: int) -> list[socket.socket]:
    return netutil.bind_sockets(port, host)
