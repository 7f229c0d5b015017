"""Load with an oracle: an API, and clients that know of each request whether and when it was answered."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import threading
import time
from types import TracebackType
from typing import Self

BODY = b'{"items":[' + b",".join(b'{"id":%d}' % number for number in range(20)) + b"]}"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Api:
    """Answers every GET with JSON, on a thread of its own; also a context manager.

    Args:
        padding: bytes that are added to each answer.
    """

    def __init__(self, padding: int = 0) -> None:
        self.port = 0
        self._body = BODY[:-1] + b',"padding":"' + b"x" * padding + b'"}' if padding else BODY
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop
        self._loop.call_soon_threadsafe(self._halt.set)
        self._thread.join(30)

    async def _serve(self) -> None:
        self._loop, self._halt = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._halt.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = HEAD % len(self._body) + self._body
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()


class Clients:
    """Send requests one after another on a few connections until they are stopped; also a context manager.

    Every request has a path of its own. One that fails is not repeated: the proxy may have seen it.

    Args:
        connections: how many at once.
        pause_s: what each connection waits between two requests.
        numbers: makes the paths unique over several proxies.
    """

    def __init__(self, connections: int = 4, pause_s: float = 0.0, numbers: itertools.count[int] | None = None) -> None:
        self.port = 0
        self.sent: set[str] = set()
        self.answered: dict[str, float] = {}
        self._pause_s = pause_s
        self._numbers = numbers or itertools.count()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish what is under way, and end."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def before(self, moment: float) -> set[str]:
        """Return the paths whose answers were complete before a moment, in monotonic seconds."""
        return {path for path, at in self.answered.copy().items() if at < moment}

    def _run(self) -> None:
        while not self._stopped.is_set():
            port = self.port
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._talk(http.client.HTTPConnection("127.0.0.1", port, timeout=20), port)
            self._stopped.wait(0.05)

    def _talk(self, connection: http.client.HTTPConnection, port: int) -> None:
        with contextlib.closing(connection):
            while port and port == self.port and not self._stopped.is_set():
                path = f"/r/{next(self._numbers)}"
                self.sent.add(path)
                connection.request("GET", path)
                answer = connection.getresponse()
                if answer.status == 200 and answer.read().startswith(BODY[:-1]):
                    self.answered[path] = time.monotonic()
                if self._pause_s:
                    self._stopped.wait(self._pause_s)
