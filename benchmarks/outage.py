"""How trouble with Akto affects the proxy's clients.

A proxy for every kind of trouble and two for none run side by side; bursts of load go to them in turns, each turn in a
different order. A burst is compared with the mean of the two healthy ones of its turn, so that a slower machine slows
both; the table shows the medians of these ratios with their confidence intervals. The difference between the healthy
ones is the noise.
"""

from __future__ import annotations

import multiprocessing
import random
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import load, peers, proxies, table
from benchmarks.load import Load
from benchmarks.proxies import Proxy
from tests.faults.server import HANG, OK, RESET, SLOW, FaultServer, Reply, status

WARM_UP = 500

SCRIPTS: dict[str, Reply] = {"healthy": OK, "hanging": HANG, "resetting": RESET, "1 byte/s": SLOW, "500": status(500)}

KINDS = ("healthy", "hanging", "resetting", "1 byte/s", "healthy again", "500", "refusing", "dead name")
HEALTHY = ("healthy", "healthy again")

# The load of one burst, by proxy.
Turn = dict[str, Load]


def _serve(script: Reply, port: multiprocessing.Queue[int]) -> None:
    with FaultServer(script) as server:
        port.put(server.port)
        threading.Event().wait()


@contextmanager
def _akto(kind: str) -> Iterator[str]:
    """Run a stand-in for Akto in a separate process, so that its CPU time is not the proxy's; yields its URL."""
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


@contextmanager
def _mirroring(kind: str, target_port: int) -> Iterator[Proxy]:
    """Run a proxy with this kind of trouble, warmed up: the first entries have already been affected."""
    with _akto(kind) as url, tempfile.TemporaryDirectory() as folder:
        args = ("--set", f"akto_spool_dir={folder}/spool")
        with proxies.running_proxy(proxies.with_addon(url, args=args), target_port, url) as proxy:
            load.run(proxy.port, WARM_UP)
            yield proxy


def report(turns: int, requests: int) -> str:
    """Measure and return the section."""
    return _section(_measure(turns, requests), requests)


def _measure(turns: int, requests: int) -> list[Turn]:
    """Return the load of each turn, by proxy."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        port, _ = stack.enter_context(peers.running_json_target(Path(folder)))
        running = {kind: stack.enter_context(_mirroring(kind, port)) for kind in KINDS}
        return [
            {kind: load.summary(load.run(running[kind].port, requests)) for kind in _shuffled(turn)}
            for turn in range(turns)
        ]


def _section(turns: Sequence[Turn], requests: int) -> str:
    rows = [(kind, _told(turns, kind, "per_s"), _told(turns, kind, "p99_ms")) for kind in KINDS]
    return "\n\n".join(
        [
            "### Trouble with Akto",
            f"{table.machine()}. {len(turns)} bursts of {requests} requests to each proxy, in turns; load: "
            f"{load.tool()}, {load.CONNECTIONS} connections. Ratios to the healthy proxies in the same turn: medians, "
            "in brackets the interval that holds the true median with 95 % confidence.",
            table.render(("Akto", "throughput", "p99"), rows),
        ]
    )


def _shuffled(turn: int) -> list[str]:
    """Shuffle, so that no proxy always follows the same one, whose last entries may still be on the way; repeatable."""
    return random.Random(turn).sample(KINDS, len(KINDS))  # noqa: S311 - an order, no secret


def _told(turns: Sequence[Turn], kind: str, figure: str) -> str:
    return table.confident(ratios(turns, kind, figure), 3)


def ratios(turns: Sequence[Turn], kind: str, figure: str) -> list[float]:
    """Divide a figure of each turn by its mean over the two healthy bursts of that turn."""
    return [
        getattr(turn[kind], figure) * len(HEALTHY) / sum(getattr(turn[healthy], figure) for healthy in HEALTHY)
        for turn in turns
    ]
