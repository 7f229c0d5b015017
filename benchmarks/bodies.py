"""Large responses: time to first byte, and memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import peers, proxies, table
from benchmarks.peers import Ingestion
from benchmarks.proxies import PLAIN, Mode, Proxy

MB = 1_000_000

# Content types that the capture rules skip and take.
TYPES = ("application/octet-stream", "application/json")

# The addon's default `akto_body_limit`, in characters.
KEPT = 65_536

ROUNDS = 3

HEAD = (
    "body",
    "",
    "first byte, ms",
    "last byte, ms",
    "memory before, MiB",
    "peak memory, MiB",
    "entries received",
)


@dataclass(frozen=True)
class Download:
    """Times at the client, in milliseconds since its request."""

    first_ms: float
    last_ms: float


@dataclass(frozen=True)
class Run:
    """One download through a fresh process."""

    mode: Mode
    download: Download
    idle_mib: float
    peak_mib: float
    entries: int
    characters: int


def report(megabytes: Sequence[int]) -> str:
    """Measure bodies of these sizes, in millions of bytes, and return the section."""
    with peers.running_target() as port, peers.running_ingestion() as ingestion:
        modes = [PLAIN, proxies.with_addon(ingestion.url)]
        rows = [row for size in megabytes for kind in TYPES for row in _rows(modes, port, ingestion, size * MB, kind)]
    return "\n\n".join(
        [
            "### Large bodies",
            f"{table.machine()}. Responses with a content length, from an asyncio target; {ROUNDS} runs of each, in "
            "turns, each in a fresh mitmdump process after one small request; medians.",
            table.render(HEAD, rows),
        ]
    )


def _rows(modes: Sequence[Mode], port: int, ingestion: Ingestion, size: int, kind: str) -> Iterator[list[str]]:
    runs = [_run(mode, port, ingestion, size, kind) for _ in range(ROUNDS) for mode in modes]
    for mode in modes:
        yield _row(f"{size // MB} MB {kind}", [run for run in runs if run.mode is mode], kind)


def _run(mode: Mode, port: int, ingestion: Ingestion, size: int, kind: str) -> Run:
    with proxies.running_proxy(mode, port, ingestion.url) as proxy:
        _download(proxy, f"/bytes?n=10&type={TYPES[0]}", 10)
        entries, characters, idle = ingestion.entries, ingestion.characters, proxy.memory_mib()
        seen = _download(proxy, f"/bytes?n={size}&type={kind}", size)
        if mode is not PLAIN and kind == "application/json":
            ingestion.wait_for(entries + 1)
        peak = proxy.peak_mib()
    return Run(mode, seen, idle, peak, ingestion.entries - entries, ingestion.characters - characters)


def _download(proxy: Proxy, path: str, size: int) -> Download:
    return asyncio.run(_fetch(proxy.port, path, size))


async def _fetch(port: int, path: str, size: int) -> Download:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    start = time.monotonic()
    writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    received = len(await reader.read(1))
    first = time.monotonic() - start
    while received < size and (chunk := await reader.read(1 << 18)):
        received += len(chunk)
    last = time.monotonic() - start
    writer.close()
    if received != size:
        raise RuntimeError(f"{received} of {size} bytes of {path} arrived")
    return Download(first * 1000, last * 1000)


def _row(body: str, runs: Sequence[Run], kind: str) -> list[str]:
    return [
        body,
        runs[0].mode.name,
        f"{median(run.download.first_ms for run in runs):.0f}",
        f"{median(run.download.last_ms for run in runs):.0f}",
        f"{median(run.idle_mib for run in runs):.0f}",
        f"{median(run.peak_mib for run in runs):.0f}",
        _received(runs, wanted=runs[0].mode is not PLAIN and kind == "application/json"),
    ]


def _received(runs: Sequence[Run], *, wanted: bool) -> str:
    expected = [(1, KEPT) if wanted else (0, 0)] * len(runs)
    if [(run.entries, run.characters) for run in runs] == expected:
        return f"all {len(runs)}" if wanted else "none, as it should be"
    return f"**{sum(run.entries for run in runs)} of {len(runs) if wanted else 0}: figures void**"
