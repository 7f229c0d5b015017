"""The target and the ingestion service, each in a separate process, so that their CPU time is not the proxy's."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from ctypes import c_longlong
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

SPAWN = multiprocessing.get_context("spawn")

JSON_BODY = b'{"items":[' + b",".join(b'{"id":%d,"name":"bench"}' % n for n in range(1000, 1024)) + b"]"
JSON_BODY += b',"next":"%s"}' % (b"x" * (700 - len(JSON_BODY) - 11))

CHUNK = b'{"bench":"0123456789abcdef"},\n' * 2185

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Request:
    """The parts of a request that these servers use."""

    path: str
    query: dict[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request and the body that `content-length` announces; None when the client has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    target = head.split(b" ", 2)[1].decode("ascii")
    path, _, query = target.partition("?")
    pairs = (item.partition("=") for item in query.split("&") if item)
    return Request(path, {name: value for name, _, value in pairs}, await reader.readexactly(length))


def head(content_type: str, length: int | None) -> bytes:
    """Return the head of a 200 response; one of unknown length ends with its connection."""
    end = "connection: close" if length is None else f"content-length: {length}"
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{end}\r\n\r\n".encode()


async def serve_target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer `/json`, `/bytes?n=…&type=…` and `/events?every_ms=…&after_ms=…`."""
    try:
        while (request := await read_request(reader)) is not None:
            if request.path == "/bytes":
                await _send_bytes(writer, int(request.query["n"]), request.query["type"])
            elif request.path == "/events":
                return await _send_events(writer, request.query)
            else:
                writer.write(head("application/json", len(JSON_BODY)) + JSON_BODY)
    except ConnectionError:
        return None
    finally:
        writer.close()
    return None


async def _send_bytes(writer: asyncio.StreamWriter, count: int, content_type: str) -> None:
    writer.write(head(content_type, count))
    for start in range(0, count, len(CHUNK)):
        writer.write(CHUNK[: count - start])
        await writer.drain()


async def _send_events(writer: asyncio.StreamWriter, query: dict[str, str]) -> None:
    """Send events that hold their send time until the client leaves; `after_ms` is the wait after the first."""
    writer.write(head("text/event-stream", None) + _event())
    due = time.monotonic() + int(query["after_ms"]) / 1000
    while True:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.write(_event())
        await writer.drain()
        due += int(query["every_ms"]) / 1000


def _event() -> bytes:
    return b"data: %d\n\n" % time.monotonic_ns()


class _Entry(msgspec.Struct):
    path: str
    method: str
    requestHeaders: str  # noqa: N815 - Akto's wire names
    responsePayload: str  # noqa: N815


class _Batch(msgspec.Struct):
    batchData: list[_Entry]  # noqa: N815


@dataclass(frozen=True)
class Counts:
    """Counts of what the ingestion service has received, in shared memory that only its process writes."""

    posts: Any
    entries: Any
    characters: Any


async def serve_ingestion(counts: Counts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept batches as Akto's service does, and count their entries and characters."""
    decoder = msgspec.json.Decoder(_Batch)
    try:
        while (request := await read_request(reader)) is not None:
            entries = decoder.decode(request.body).batchData
            counts.posts.value += 1
            counts.characters.value += sum(len(entry.responsePayload) for entry in entries)
            counts.entries.value += len(entries)
            writer.write(head("application/json", 16) + b'{"success":true}')
    except ConnectionError:
        return
    finally:
        writer.close()


@dataclass(frozen=True)
class Ingestion:
    """A running ingestion service."""

    port: int
    pid: int
    counts: Counts

    @property
    def url(self) -> str:
        """The value for `akto_url`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def entries(self) -> int:
        """Entries received so far."""
        return int(self.counts.entries.value)

    @property
    def characters(self) -> int:
        """Characters of all response payloads received so far."""
        return int(self.counts.characters.value)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def wait_for(self, entries: int, deadline_s: float = 60) -> int:
        """Wait until this many entries have arrived in total, or the time is up; returns the number of entries."""
        until = time.monotonic() + deadline_s
        while self.entries < entries and time.monotonic() < until:
            time.sleep(0.01)
        return self.entries


@contextmanager
def running_ingestion() -> Generator[Ingestion]:
    """Run the ingestion service."""
    counts = Counts(*(SPAWN.Value(c_longlong, 0, lock=False) for _ in range(3)))
    with _running(functools.partial(serve_ingestion, counts)) as (port, pid):
        yield Ingestion(port, pid, counts)


@contextmanager
def running_target() -> Generator[int]:
    """Run the asyncio target; yields its port."""
    with _running(serve_target) as (port, _):
        yield port


@contextmanager
def running_json_target(folder: Path) -> Generator[tuple[int, str]]:
    """Run the cheapest available target for the 700-byte JSON, nginx or the asyncio one; yields port and name."""
    nginx = shutil.which("nginx")
    if nginx is None:
        with running_target() as port:
            yield port, "an asyncio server"
    else:
        with _running_nginx(nginx, folder) as port:
            yield port, "nginx"


@contextmanager
def _running(handler: Handler) -> Generator[tuple[int, int]]:
    """Run a server; yields its port and process id."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(handler, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise TimeoutError("a server of the benchmark did not start")
        yield ours.recv(), process.pid or 0
    finally:
        process.kill()
        process.join()


def _serve(handler: Handler, ready: Connection) -> None:
    asyncio.run(_serve_forever(handler, ready))


async def _serve_forever(handler: Handler, ready: Connection) -> None:
    server = await asyncio.start_server(handler, "127.0.0.1", 0, backlog=2048, limit=1 << 24)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    location / {{ return 200 '{body}'; }}
  }}
}}
"""


@contextmanager
def _running_nginx(nginx: str, folder: Path) -> Generator[int]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, body=JSON_BODY.decode()))
    process = subprocess.Popen([nginx, "-e", folder / "nginx.log", "-c", config])  # noqa: S603 - our own arguments
    try:
        _wait_until_open(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Return a port that was free a moment ago, for a program that cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait_until_open(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
