"""Memory during an outage of Akto: `python -m benchmarks.memory 10`, ten minutes of each kind at full load.

Each run starts a mitmdump and warms it up while Akto accepts everything. Idle memory is measured then,
without clients: it includes certificates, buffers and what the allocator keeps, but no entries. Then Akto goes away,
and the load goes on. The peak is the kernel's, reset when the outage begins. It may be at most idle memory, the queue's
bound and 40 MB; a plain mitmdump under the same load shows mitmproxy's own share.

The exit code is 1 if a run exceeds its bound.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib import request

from prometheus_client.parser import text_string_to_metric_families

from benchmarks import load, peers, proxies, table
from benchmarks.peers import Ingestion
from benchmarks.proxies import PLAIN, Proxy

# What line 2 of docs/delivery.md allows in addition to the queue.
ALLOWED = 40_000_000

MB = 1_000_000

# Requests of the warm-up, in parts after each of which all entries have arrived, so that the smallest queue holds one.
WARM_UP = range(300, 3001, 300)

# Requests per run of the load generator; between two runs the proxy is idle for some milliseconds.
PORTION = 4000

# Time in which what the warm-up left behind is sent and freed.
SETTLE_S = 2.0

HEAD = ("Akto", "durability", "requests/s", "idle, MB", "peak, MB", "more", "bound", "queue, MB", "on disk, MB", "")

# How Akto goes away: its process ends, or the kernel still accepts connections that are never answered.
OUTAGES = {"refusing": signal.SIGKILL, "hanging": signal.SIGSTOP}


@dataclass(frozen=True)
class Run:
    """One run: bytes of memory, of the queue and of the spool at its end.

    Attributes:
        akto: how Akto went away; empty for plain mitmdump.
        durability: `akto_durability`.
        limit: `akto_queue_bytes`; None for plain mitmdump, which has no bound to keep.
        per_s: requests a second.
        idle: resident memory before the outage.
        peak: the peak of resident memory during the outage.
        queue: bytes of entries in memory at its end.
        disk: bytes on disk at its end.
    """

    akto: str
    durability: str
    limit: int | None
    per_s: float
    idle: int
    peak: int
    queue: int = 0
    disk: int = 0

    @property
    def bound(self) -> int | None:
        """The allowed peak in bytes; None for plain mitmdump."""
        return None if self.limit is None else self.idle + self.limit + ALLOWED

    @property
    def is_ok(self) -> bool:
        """Return whether the peak is within the bound."""
        return self.bound is None or self.peak <= self.bound

    def row(self) -> list[str]:
        """Return the run's row of the table."""
        memory = [_megabytes(each) for each in (self.idle, self.peak, self.peak - self.idle)]
        start = [self.akto or "plain mitmdump", self.durability, f"{self.per_s:.0f}", *memory]
        if self.bound is None:
            return [*start, "", "", "", ""]
        held = [_megabytes(each) for each in (self.bound, self.queue, self.disk)]
        return [*start, *held, "ok" if self.is_ok else "**over**"]


def _megabytes(size: int) -> str:
    return f"{size / MB:.1f}"


def measure_plain(target: int, seconds: float) -> Run:
    """Load a mitmdump without the addon."""
    with proxies.running_proxy(PLAIN, target, "") as proxy:
        for _ in WARM_UP:
            load.run(proxy.port, WARM_UP.step)
        return Run("", "", None, *_under_load(proxy, seconds))


def measure(akto: str, durability: str, limit: int, target: int, seconds: float) -> Run:
    """Load a mitmdump with the addon while Akto is away."""
    metrics = peers.free_port()
    with peers.running_ingestion() as ingestion, tempfile.TemporaryDirectory() as folder:
        options = {
            "akto_durability": durability,
            "akto_queue_bytes": str(limit),
            "akto_linger_ms": "100",
            "akto_spool_dir": f"{folder}/spool",
            "akto_metrics": f"127.0.0.1:{metrics}",
        }
        args = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
        with proxies.running_proxy(proxies.with_addon(ingestion.url, args=args), target, ingestion.url) as proxy:
            _warm_up(proxy, ingestion)
            ingestion.send_signal(OUTAGES[akto])
            seen = _under_load(proxy, seconds)
            return Run(akto, durability, limit, *seen, *_held(metrics))


def _warm_up(proxy: Proxy, ingestion: Ingestion) -> None:
    for sent in WARM_UP:
        load.run(proxy.port, WARM_UP.step)
        if ingestion.wait_for(sent) < sent:
            raise RuntimeError(f"of {sent} entries of the warm-up {ingestion.entries} arrived")


def _under_load(proxy: Proxy, seconds: float) -> tuple[float, int, int]:
    """Return requests per second, and idle and peak memory."""
    time.sleep(SETTLE_S)
    proxy.forget_peak()
    idle, requests, began = proxy.memory_mib(), 0, time.monotonic()
    while time.monotonic() < began + seconds:
        requests += len(load.run(proxy.port, min(PORTION, int(100 * seconds) + 100)))
    per_s = requests / (time.monotonic() - began)
    return per_s, int(idle * 2**20), int(proxy.peak_mib() * 2**20)


def _held(port: int) -> tuple[int, int]:
    """Return the bytes of entries in memory and on disk, from the addon's metrics."""
    with request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    values = {sample.name: sample.value for family in families for sample in family.samples}
    return int(values["akto_mirror_queue_bytes"]), int(values.get("akto_mirror_spool_bytes", 0))


def run(seconds: float, kinds: Sequence[str], durabilities: Sequence[str], limit: int) -> list[Run]:
    """Measure plain mitmdump and every combination, one after another."""
    with tempfile.TemporaryDirectory() as folder, peers.running_json_target(Path(folder)) as (target, _):
        runs = [measure_plain(target, seconds)]
        for akto in kinds:
            for durability in durabilities:
                runs.append(measure(akto, durability, limit, target, seconds))
                sys.stderr.write(f"{' '.join(runs[-1].row())}\n")
    return runs


def report(runs: Sequence[Run], minutes: float, limit: int) -> str:
    """Return the section."""
    return "\n\n".join(
        [
            "### Memory in an outage",
            f"{table.machine()}. {minutes:g} minutes of each at full load ({load.tool()}, {load.CONNECTIONS} "
            f"connections, {len(peers.JSON_BODY)} bytes of JSON), Akto away from their beginning; akto_queue_bytes "
            f"{limit}. MB are 1,000,000 bytes; the bound is idle, the queue's limit and 40 MB.",
            table.render(HEAD, [each.row() for each in runs]),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; return 1 if a run exceeded its bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=10.0, help="of each run (default: %(default)g)")
    parser.add_argument("--akto", choices=list(OUTAGES), nargs="+", default=list(OUTAGES))
    parser.add_argument("--durability", choices=["memory", "spill", "disk"], nargs="+", default=["spill", "memory"])
    parser.add_argument("--queue-bytes", type=int, default=64 * 2**20, help="akto_queue_bytes (default: %(default)s)")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runs = run(args.minutes * 60, args.akto, args.durability, args.queue_bytes)
    sys.stdout.write(report(runs, args.minutes, args.queue_bytes) + "\n")
    return 0 if all(each.is_ok for each in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
