"""Load on a proxy: from h2load if it is installed, else from our own generator in a separate process."""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers import SPAWN

CONNECTIONS = 32

# Headers of an ordinary API client; h2load adds `host` and `user-agent`.
HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br",
    "authorization": "Bearer 0123456789abcdef0123456789abcdef",
    "cf-connecting-ip": "203.0.113.7",
    "x-request-id": "7b1d2c4e-1f7a-4b5e-9c39-0d8c9a3f6e21",
}


class Timing(NamedTuple):
    """Start and duration of one request, in seconds."""

    start: float
    took: float


@dataclass(frozen=True)
class Load:
    """Requests per second, and latencies in milliseconds, as the clients saw them."""

    per_s: float
    p50_ms: float
    p99_ms: float


def tool() -> str:
    """Return the name of the load generator in use."""
    return "h2load" if shutil.which("h2load") else "a Python load generator"


def speaks_tls() -> bool:
    """Return whether the load generator in use speaks TLS."""
    return shutil.which("h2load") is not None


PATH = "/api/v1/items/1234"


def run(
    port: int, requests: int, connections: int = CONNECTIONS, path: str = PATH, scheme: str = "http"
) -> list[Timing]:
    """Send GET requests over kept-alive HTTP/1.1 connections.

    Raises:
        RuntimeError: a response was not a 200, so that the figures would mean nothing.
    """
    h2load = shutil.which("h2load")
    if h2load:
        return _run_h2load(h2load, f"{scheme}://127.0.0.1:{port}{path}", requests, connections)
    with SPAWN.Pool(1) as pool:
        return pool.apply(_run_python, (port, requests, connections, path))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least `share` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summary(timings: Sequence[Timing]) -> Load:
    """Summarise one run."""
    took = [timing.took * 1000 for timing in timings]
    span = max(timing.start + timing.took for timing in timings) - min(timing.start for timing in timings)
    return Load(len(timings) / span, percentile(took, 0.5), percentile(took, 0.99))


def _run_h2load(h2load: str, url: str, requests: int, connections: int) -> list[Timing]:
    headers = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [h2load, "--h1", f"-n{requests}", f"-c{connections}", "-t1", f"--log-file={log}", *headers, url]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
        rows = [line.split() for line in log.read_text().splitlines()]
    bad = [row for row in rows if row[1] != "200"]
    if bad or len(rows) != requests:
        raise RuntimeError(f"of {requests} requests {len(rows)} were answered, {len(bad)} of them not by a 200")
    return [Timing(int(row[0]) / 1e6, int(row[2]) / 1e6) for row in rows]


def _run_python(port: int, requests: int, connections: int, path: str) -> list[Timing]:
    return asyncio.run(_drive(port, requests, connections, path))


async def _drive(port: int, requests: int, connections: int, path: str) -> list[Timing]:
    shares = [requests // connections + (number < requests % connections) for number in range(connections)]
    parts = await asyncio.gather(*(_drive_one(port, share, path) for share in shares))
    return [timing for part in parts for timing in part]


async def _drive_one(port: int, requests: int, path: str) -> list[Timing]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{name}: {value}" for name, value in {"host": f"127.0.0.1:{port}", **HEADERS}.items()]
    request = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()
    timings = []
    for _ in range(requests):
        start = time.monotonic()
        writer.write(request)
        await _read_answer(reader)
        timings.append(Timing(start, time.monotonic() - start))
    writer.close()
    return timings


async def _read_answer(reader: asyncio.StreamReader) -> None:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    if b" 200 " not in status:
        raise RuntimeError(f"an answer was not a 200: {status!r}")
    length = next(line for line in lines if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
