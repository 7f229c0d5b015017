"""An ingestion service that misbehaves on demand."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from akto_mirror.background_server import Running

Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class Reply:
    """What to do with one request.

    Attributes:
        status: the HTTP status; None gives no answer.
        headers: additional headers.
        body: the body of the answer.
        hang_s: seconds to wait before the answer, or before the end without one.
        pause_s: seconds between two bytes of the answer.
        reset: end the connection with a RST instead of an answer.
        garbage: answer with bytes that are not HTTP.
        take: accept the entries, as a working service does; None means only with a status of 200.
    """

    status: int | None = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b'{"success":true}'
    hang_s: float = 0.0
    pause_s: float = 0.0
    reset: bool = False
    garbage: bool = False
    take: bool | None = None

    @property
    def takes(self) -> bool:
        """Return whether the entries are accepted."""
        return self.status == 200 if self.take is None else self.take


OK = Reply()
HANG = Reply(status=None, hang_s=3600)
RESET = Reply(status=None, reset=True)
SLOW = Reply(pause_s=1.0)
GARBAGE = Reply(garbage=True)

Script = Callable[[Entries], Reply]


def status(code: int, *headers: tuple[str, str], body: bytes = b'{"success":false}') -> Reply:
    """Answer with a status."""
    return Reply(code, headers, body)


@dataclass
class _Seen:
    """What arrived: `taken` counts entries by path, `unanswered` those without a proper answer; `asked` lists GETs."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    taken: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    unanswered: int = 0
    health_checks: int = 0
    asked: list[str] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)
    at: list[float] = field(default_factory=list)


class FaultServer(Running):
    """Listens on a free port of 127.0.0.1, or the one given; also a context manager.

    Attributes:
        script: returns the reply to a batch; may be replaced at any time.
        health: the reply to `GET /healthCheck`.
        listening: False refuses connections.
    """

    def __init__(self, script: Script | Reply = OK, *, health: Reply = OK, port: int = 0) -> None:
        self.script = script
        self.health = health
        self.seen = _Seen()
        self.port = port
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def taken(self) -> Counter[str]:
        """How often each entry was accepted, by path."""
        with self.seen.lock:
            return Counter(self.seen.taken)

    def start(self) -> None:
        """Listen."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and cut those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._stopped.set()
        self._stopped = threading.Event()
        with self.seen.lock:
            cut = list(self._open)
        for connection in cut:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something holds.

        Raises:
            AssertionError: it does not within the seconds.
        """
        wait_for(condition, seconds)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.seen.lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as stream:
                while self._exchange(connection, stream):
                    pass
        with self.seen.lock:
            self._open.discard(connection)

    def _exchange(self, connection: socket.socket, stream: Any) -> bool:
        line = stream.readline()
        if not line:
            return False
        headers = dict(_headers(stream))
        body = stream.read(int(headers.get("content-length", "0")))
        if line.startswith(b"GET"):
            with self.seen.lock:
                self.seen.health_checks += 1
                self.seen.asked.append(line.split()[1].decode())
            return self._act(connection, self.health)
        entries: Entries = json.loads(body)["batchData"]
        reply = self.script if isinstance(self.script, Reply) else self.script(entries)
        with self.seen.lock:
            self.seen.requests += 1
            self.seen.at.append(time.monotonic())
            self.seen.tokens[headers.get("authorization", "")] += 1
            if reply.takes:
                self.seen.taken.update(entry["path"] for entry in entries)
                self.seen.unanswered += len(entries) if reply != OK else 0
        return self._act(connection, reply)

    def _act(self, connection: socket.socket, reply: Reply) -> bool:
        if reply.hang_s:
            self._stopped.wait(reply.hang_s)
        if reply.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if reply.status is None:
            return False
        answer = b"\x00\xffnot HTTP\r\n\r\n" if reply.garbage else _encoded(reply)
        if not reply.pause_s:
            connection.sendall(answer)
            return not reply.garbage
        for byte in answer:
            connection.sendall(bytes([byte]))
            if self._stopped.wait(reply.pause_s):
                return False
        return True


def _headers(stream: Any) -> list[tuple[str, str]]:
    found = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        found.append((name.lower(), value.strip()))
    return found


def _encoded(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Scripted", f"Content-Length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it does not within the seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)


def weather(seed: int) -> Script:
    """Answer at random: mostly normally, sometimes with a failure of any kind."""
    draw = random.Random(seed)
    faults = [
        status(500),
        status(503, ("Retry-After", "1")),
        status(422),
        status(429),
        RESET,
        GARBAGE,
        Reply(status=None, hang_s=0.5),
        Reply(pause_s=0.02),
        # Accepted, but the answer is lost: the only case in which a retry duplicates.
        Reply(status=None, take=True),
    ]
    return lambda _: OK if draw.random() < 0.7 else draw.choice(faults)
