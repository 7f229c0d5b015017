"""Whether a proxy that has served for long is as fast and as small as at first."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load, peers, proxies, table
from benchmarks.peers import Ingestion
from benchmarks.proxies import Proxy

# Parts of the whole; the first two, in which caches fill, are left out of the comparison.
PARTS = 12
FIRST = 2

# What is compared: the median of this many parts at the beginning and at the end.
SIDE = 3

# How far the end may be above the beginning.
BOUND = 0.05

HEAD = ("requests so far", "CPU a request, ms", "resident memory, MiB")


@dataclass(frozen=True)
class Part:
    """What a part of the requests took, and the resident memory at its end."""

    cpu_ms: float
    memory_mib: float


def report(requests: int) -> str:
    """Measure and return the section.

    Args:
        requests: of all parts together.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        peers.running_ingestion() as ingestion,
        peers.running_json_target(Path(folder)) as (port, target),
        proxies.running_proxy(proxies.under_run(ingestion.url), port, ingestion.url) as proxy,
    ):
        parts = [_part(proxy, ingestion, requests // PARTS) for _ in range(PARTS)]
        received = ingestion.entries
    return "\n\n".join(
        [
            "### Over time",
            f"{table.machine()}. `akto-mirror run`, one process; target: {target}, {len(peers.JSON_BODY)} bytes of "
            f"JSON; load: {load.tool()}, {load.CONNECTIONS} connections; {received} of {requests // PARTS * PARTS} "
            f"entries received. {verdict(parts)}",
            table.render(HEAD, [_row(number * (requests // PARTS), part) for number, part in enumerate(parts, 1)]),
        ]
    )


def verdict(parts: Sequence[Part]) -> str:
    """Say how the end compares with the beginning."""
    cpu, memory = (growth([figure(part) for part in parts]) for figure in (_cpu, _memory))
    bound = "within" if max(cpu, memory) <= BOUND else "**not within**"
    return (
        f"The last {SIDE} parts compared with the first {SIDE} after a warm-up of {FIRST}, by medians: CPU time "
        f"{cpu:+.1%}, resident memory {memory:+.1%}; {bound} {BOUND:.0%}."
    )


def growth(values: Sequence[float]) -> float:
    """Return by which share the end is above the beginning."""
    return median(values[-SIDE:]) / median(values[FIRST : FIRST + SIDE]) - 1


def _cpu(part: Part) -> float:
    return part.cpu_ms


def _memory(part: Part) -> float:
    return part.memory_mib


def _part(proxy: Proxy, ingestion: Ingestion, requests: int) -> Part:
    entries, cpu_s = ingestion.entries, proxy.cpu_s()
    load.run(proxy.port, requests)
    ingestion.wait_for(entries + requests)
    return Part((proxy.cpu_s() - cpu_s) * 1000 / requests, proxy.memory_mib())


def _row(so_far: int, part: Part) -> list[str]:
    return [f"{so_far:,}", f"{part.cpu_ms:.3f}", f"{part.memory_mib:.1f}"]
