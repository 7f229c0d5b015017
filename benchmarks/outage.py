"""What clients of the proxy notice of trouble at Akto's side: `python -m benchmarks.outage`.

Each round runs one proxy for every kind of trouble and two for none, one after another in a rotated order, and compares
each with the mean of the two healthy ones; the table shows the medians and quartiles of these ratios. How far the
healthy ones are from one another is the noise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import load, peers, proxies, table
from benchmarks.load import Load
from tests.faults.server import HANG, OK, RESET, SLOW, FaultServer, Reply, status

WARM_UP = 500

SCRIPTS: dict[str, Reply] = {"healthy": OK, "hanging": HANG, "resetting": RESET, "1 byte/s": SLOW, "500": status(500)}

# The two healthy runs stand as far apart as can be, so that a machine that slows down slows one of them down.
KINDS = ("healthy", "hanging", "resetting", "1 byte/s", "healthy again", "500", "refusing", "dead name")
HEALTHY = ("healthy", "healthy again")


def _serve(script: Reply, port: multiprocessing.Queue[int]) -> None:
    with FaultServer(script) as server:
        port.put(server.port)
        threading.Event().wait()


@contextmanager
def _akto(kind: str) -> Iterator[str]:
    """Run the other side in a process of its own, so that its CPU time is nobody else's; yields its URL."""
    if kind == "dead name":
        yield "http://does-not-exist.invalid:9091"
        return
    if kind == "refusing":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        return
    context = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[int] = context.Queue()
    server = context.Process(target=_serve, args=(SCRIPTS.get(kind, OK), ports), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=30)}"
    finally:
        server.terminate()
        server.join()


def measure(kind: str, target_port: int, requests: int, durability: str) -> Load:
    """Run a proxy with this kind of trouble, and load on it."""
    with _akto(kind) as url, tempfile.TemporaryDirectory() as folder:
        options = {"akto_durability": durability, "akto_spool_dir": f"{folder}/spool", "akto_shutdown_s": "0"}
        args = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
        with proxies.running_proxy(proxies.with_addon(url, args=args), target_port, url) as proxy:
            load.run(proxy.port, WARM_UP)
            return load.summary(load.run(proxy.port, requests))


def report(rounds: int, requests: int, durability: str) -> str:
    """Measure and return the table."""
    ratios: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder, peers.running_json_target(Path(folder)) as (port, _):
        for number in range(rounds):
            seen = {kind: measure(kind, port, requests, durability) for kind in _rotated(number)}
            per_s = sum(seen[kind].per_s for kind in HEALTHY) / 2
            p99_ms = sum(seen[kind].p99_ms for kind in HEALTHY) / 2
            for kind, run in seen.items():
                ratios[kind].append((run.per_s / per_s, run.p99_ms / p99_ms))
            sys.stderr.write(f"round {number + 1}: {per_s:.0f}/s, p99 {p99_ms:.1f} ms when healthy\n")
    rows = [_row(kind, ratios[kind]) for kind in KINDS]
    return table.render(("Akto", "throughput", "p99"), rows)


def _rotated(by: int) -> Sequence[str]:
    start = by % len(KINDS)
    return KINDS[start:] + KINDS[:start]


def _row(kind: str, ratios: Sequence[tuple[float, float]]) -> tuple[str, str, str]:
    return kind, _told([per_s for per_s, _ in ratios]), _told([p99 for _, p99 in ratios])


def _told(ratios: Sequence[float]) -> str:
    return table.spread(ratios, 3)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--durability", choices=["memory", "spill", "disk"], default="spill")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.write(report(args.rounds, args.requests, args.durability) + "\n")


if __name__ == "__main__":
    main()
