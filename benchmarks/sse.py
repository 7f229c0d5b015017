"""Many event streams at once: whether all are live, the lag of events, and the cost of a stream."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

from benchmarks import limits, peers, proxies, table
from benchmarks.load import percentile
from benchmarks.peers import Ingestion
from benchmarks.proxies import Mode

# Connections are opened this many at a time, as they would come in practice and as backlogs allow.
AT_A_TIME = 50

# The request of an MCP client, whose content type makes the capture rules take the exchange.
JSON_REQUEST = "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

# Interval between two events of a stream.
EVERY_MS = 2000

HEAD = (
    "",
    "all open after, s",
    "streams alive",
    "events received",
    "lag p50, ms",
    "lag p99, ms",
    "greatest lag, ms",
    "CPU per event, ms",
    "memory per stream, KiB",
    "entries received",
)


@dataclass(frozen=True)
class Watch:
    """Results at the clients: the time to open all streams, and the lags of each stream's events in milliseconds."""

    opening_s: float
    lags: list[list[float]]

    @property
    def all_lags(self) -> list[float]:
        """The lags of all events."""
        return [lag for stream in self.lags for lag in stream]


@dataclass(frozen=True)
class Cost:
    """The proxy's cost during that time."""

    cpu_s: float
    memory_mib: float
    entries: int | None


NONE = Cost(0, 0, None)

SET_TO_STREAM = Mode("plain mitmdump, set to stream", ("--set", "stream_large_bodies=1"))


def report(streams: int, seconds: int) -> str:
    """Measure and return the section."""
    events = max(1, seconds * 1000 // EVERY_MS)
    with limits.many_files(), peers.running_target() as target, peers.running_ingestion() as ingestion:
        modes = (SET_TO_STREAM, proxies.with_addon(ingestion.url))
        rows = [_row("no proxy", _watch(target, streams, events), NONE, events)]
        rows += [_row(mode.name, *_through_proxy(mode, target, ingestion, streams, events), events) for mode in modes]
    return "\n\n".join(
        [
            "### Event streams",
            f"{table.machine()}. {streams} streams at once of {events} events each, one every {EVERY_MS / 1000:g} "
            "seconds a stream, evenly spread. The lag is from the moment before the target writes to the one after "
            "the client has read, by one clock, once all streams are open; target, proxy and client share the cores. "
            "Plain mitmdump passes nothing of an endless stream on unless it is set to.",
            table.render(HEAD, rows),
        ]
    )


def _through_proxy(mode: Mode, target: int, ingestion: Ingestion, streams: int, events: int) -> tuple[Watch, Cost]:
    mirrors = mode.name == proxies.MIRRORING
    before = ingestion.entries
    with proxies.running_proxy(mode, target, ingestion.url) as proxy:
        _watch(proxy.port, 1, 1)
        entries = ingestion.wait_for(before + 1) if mirrors else before
        cpu_s, memory_mib = proxy.cpu_s(), proxy.memory_mib()
        seen = _watch(proxy.port, streams, events)
        cpu_s, memory_mib = proxy.cpu_s() - cpu_s, proxy.peak_mib() - memory_mib
        arrived = ingestion.wait_for(entries + streams) - entries if mirrors else None
    return seen, Cost(cpu_s, memory_mib, arrived)


def _watch(port: int, streams: int, events: int) -> Watch:
    return asyncio.run(_watch_all(port, streams, events))


async def _watch_all(port: int, streams: int, events: int) -> Watch:
    """Open all streams, then read them concurrently; each stays open until the last one is done."""
    gate, start = asyncio.Semaphore(AT_A_TIME), time.monotonic()
    waits = (number * EVERY_MS // streams for number in range(streams))
    opened = await asyncio.gather(*(_open(port, wait_ms, gate) for wait_ms in waits))
    since, deadline = time.monotonic_ns(), time.monotonic() + events * EVERY_MS / 1000 + 30
    opening_s = time.monotonic() - start
    lags = await asyncio.gather(*(_read(reader, events, since, deadline) for reader, _ in opened))
    for _, writer in opened:
        writer.close()
    return Watch(opening_s, lags)


async def _open(port: int, wait_ms: int, gate: asyncio.Semaphore) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Request a stream and read the head of the response."""
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = f"/events?every_ms={EVERY_MS}&after_ms={wait_ms}"
        writer.write(f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{JSON_REQUEST}".encode())
        await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def _read(reader: asyncio.StreamReader, events: int, since_ns: int, deadline: float) -> list[float]:
    """Return the lags of the next events sent after all streams were open, without those that did not come in time."""
    lags: list[float] = []
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            while len(lags) < events and (line := await reader.readline()):
                if line.startswith(b"data: ") and (sent_ns := int(line[6:])) >= since_ns:
                    lags.append((time.monotonic_ns() - sent_ns) / 1e6)
    except (TimeoutError, ConnectionError):
        pass
    return lags


def _row(name: str, seen: Watch, cost: Cost, events: int) -> list[str]:
    streams, lags = len(seen.lags), seen.all_lags or [math.inf]
    return [
        name,
        f"{seen.opening_s:.1f}",
        f"{sum(len(lags) == events for lags in seen.lags)} of {streams}",
        f"{len(seen.all_lags)} of {streams * events}",
        f"{percentile(lags, 0.5):.1f}",
        f"{percentile(lags, 0.99):.1f}",
        f"{max(lags):.1f}",
        "" if cost is NONE else f"{cost.cpu_s * 1000 / len(lags):.2f}",
        "" if cost is NONE else f"{cost.memory_mib * 1024 / streams:.0f}",
        "" if cost.entries is None else f"{cost.entries} of {streams}",
    ]
