"""Whether a long-running proxy stays as fast and as small as at its start."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load, peers, proxies, table
from benchmarks.peers import Ingestion
from benchmarks.proxies import Proxy

# The run is divided into parts; the first two, in which caches fill, are left out of the comparison.
PARTS = 12
FIRST = 2

# Warm-up requests of the fresh proxy.
WARM_UP = 400

# The medians of this many parts at the beginning and at the end are compared.
SIDE = 3

# The growth that is permitted, as a share of the beginning.
BOUND = 0.05

# Bursts of a part. After each one a fresh proxy gets a fifth of the requests: a machine that grows busier slows both
# alike, so the comparison is of the ratio of their CPU times.
BURSTS = 3
YOUNG = 5

HEAD = ("requests so far", "CPU per request, ms", "relative to a fresh proxy", "resident memory, MiB")


@dataclass(frozen=True)
class Part:
    """The CPU time of a part, also relative to a fresh proxy, and the resident memory at its end."""

    cpu_ms: float
    times: float
    memory_mib: float


def report(requests: int) -> str:
    """Measure and return the section.

    Args:
        requests: the total over all parts.
    """
    burst = max(load.CONNECTIONS, requests // PARTS // BURSTS)
    with (
        tempfile.TemporaryDirectory() as folder,
        peers.running_ingestion() as ingestion,
        peers.running_json_target(Path(folder)) as (port, target),
        proxies.running_proxy(proxies.under_run(ingestion.url), port, ingestion.url) as proxy,
        proxies.running_proxy(proxies.under_run(ingestion.url), port, ingestion.url) as young,
    ):
        _cpu_ms(young, ingestion, WARM_UP)
        parts = [_part(proxy, young, ingestion, burst) for _ in range(PARTS)]
    return "\n\n".join(
        [
            "### Over time",
            f"{table.machine()}. `akto-mirror run`, one process; target: {target}, {len(peers.JSON_BODY)} bytes of "
            f"JSON; load: {load.tool()}, {load.CONNECTIONS} connections; all {burst * BURSTS * PARTS} entries "
            f"received. {verdict(parts)}",
            table.render(HEAD, [_row(number * burst * BURSTS, part) for number, part in enumerate(parts, 1)]),
        ]
    )


def verdict(parts: Sequence[Part]) -> str:
    """Describe how the end compares with the beginning."""
    cpu = growth([part.times for part in parts])
    memory = growth([part.memory_mib for part in parts])
    bound = "within" if max(cpu, memory) <= BOUND else "**not within**"
    return (
        f"The last {SIDE} parts compared with the first {SIDE} after a warm-up of {FIRST}, by medians: CPU time, "
        f"relative to a freshly started proxy beside it, {cpu:+.1%}, resident memory {memory:+.1%}; {bound} "
        f"{BOUND:.0%}."
    )


def growth(values: Sequence[float]) -> float:
    """Return the growth from the beginning to the end, as a share of the beginning."""
    return median(values[-SIDE:]) / median(values[FIRST : FIRST + SIDE]) - 1


def _part(proxy: Proxy, young: Proxy, ingestion: Ingestion, burst: int) -> Part:
    few = max(load.CONNECTIONS, burst // YOUNG)
    pairs = [(_cpu_ms(proxy, ingestion, burst), _cpu_ms(young, ingestion, few)) for _ in range(BURSTS)]
    return Part(median(own for own, _ in pairs), median(own / other for own, other in pairs), proxy.memory_mib())


def _cpu_ms(proxy: Proxy, ingestion: Ingestion, requests: int) -> float:
    """Return the CPU time per request in milliseconds, measured until all entries have arrived."""
    entries, cpu_s = ingestion.entries, proxy.cpu_s()
    load.run(proxy.port, requests)
    ingestion.wait_for(entries + requests)
    return (proxy.cpu_s() - cpu_s) * 1000 / requests


def _row(so_far: int, part: Part) -> list[str]:
    return [f"{so_far:,}", f"{part.cpu_ms:.3f}", f"{part.times:.3f}", f"{part.memory_mib:.1f}"]
