"""Load with an oracle: an API, and clients that record whether and when each request was answered."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc

from akto_mirror.background_server import Running
from tests.support.loop_server import LoopServer
from tests.support.proxy import Proxy

BODY = b'{"items":[' + b",".join(b'{"id":%d}' % number for number in range(20)) + b"]}"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Api(LoopServer):
    """Answers every GET with JSON, on a separate thread; also a context manager.

    Args:
        padding: bytes added to each response.
    """

    def __init__(self, padding: int = 0) -> None:
        super().__init__()
        self._body = BODY[:-1] + b',"padding":"' + b"x" * padding + b'"}' if padding else BODY

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        answer = HEAD % len(self._body) + self._body
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()


class Clients(Running):
    """Send requests one after another on a few connections until they are stopped; also a context manager.

    Every request has a unique path. A failed one is not repeated: the proxy may have seen it.

    Args:
        connections: the number of concurrent connections.
        pause_s: seconds between two requests of a connection.
        numbers: the source of numbers that make paths unique across proxies.
    """

    def __init__(self, connections: int = 4, pause_s: float = 0.0, numbers: Iterator[int] | None = None) -> None:
        self.host, self.port = "127.0.0.1", 0
        self.sent: set[str] = set()
        self.answered: dict[str, float] = {}
        self._pause_s = pause_s
        self._numbers = numbers or itertools.count()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def start(self) -> None:
        """Start sending, as soon as there is a port."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is under way, and end."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def before(self, moment: float) -> set[str]:
        """Return the paths whose responses were complete before a moment, in monotonic seconds."""
        return {path for path, at in self.answered.copy().items() if at < moment}

    def _run(self) -> None:
        while not self._stopped.is_set():
            port = self.port
            with contextlib.suppress(OSError, http.client.HTTPException, grpc.RpcError):
                self._talk(port)
            self._stopped.wait(0.05)

    def _talk(self, port: int) -> None:
        with contextlib.closing(http.client.HTTPConnection(self.host, port, timeout=20)) as connection:
            while self._may_go_on(port):
                path = f"/r/{next(self._numbers)}"
                self.sent.add(path)
                connection.request("GET", path)
                answer = connection.getresponse()
                if answer.status == 200 and answer.read().startswith(BODY[:-1]):
                    self.answered[path] = time.monotonic()
                if self._pause_s:
                    self._stopped.wait(self._pause_s)

    def _may_go_on(self, port: int) -> bool:
        return bool(port) and port == self.port and not self._stopped.is_set()


class GrpcApi(grpc.GenericRpcHandler, Running):  # type: ignore[misc] # grpc has no types.
    """Answers every gRPC call with its message, without TLS; also a context manager."""

    def __init__(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8), handlers=(self,))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:  # noqa: ARG002 - grpc's
        """Handle any method."""
        return grpc.unary_unary_rpc_method_handler(lambda message, _: message)

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """Close all connections."""
        self._server.stop(None).wait()


class GrpcClients(Clients):
    """Like `Clients`, with gRPC calls without TLS, each with a unique method."""

    def _talk(self, port: int) -> None:
        own = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"{self.host}:{port}", own) as channel:
            while self._may_go_on(port):
                path = f"/load.Echo/{next(self._numbers)}"
                self.sent.add(path)
                self._call(channel, path)
                self._stopped.wait(self._pause_s)

    def _call(self, channel: grpc.Channel, path: str) -> None:
        if channel.unary_unary(path)(BODY, timeout=20) == BODY:
            self.answered[path] = time.monotonic()


@dataclass(frozen=True)
class Crowd:
    """Several `Clients`, one for each mode of a proxy, as one."""

    members: Sequence[Clients]

    def aim(self, proxy: Proxy | None) -> None:
        """Send requests through a proxy from now on, or stop sending for None."""
        for place, member in enumerate(self.members):
            member.host, member.port = proxy.addresses[place] if proxy else (member.host, 0)

    def stop(self) -> None:
        """Finish what is under way, and end."""
        for member in self.members:
            member.stop()

    @property
    def sent(self) -> set[str]:
        """All paths."""
        return set().union(*(member.sent for member in self.members))

    @property
    def answered(self) -> dict[str, float]:
        """The answered paths, with the times of their responses."""
        return {path: at for member in self.members for path, at in member.answered.copy().items()}
