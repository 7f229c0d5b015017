"""Sizing: requests per second and core, memory per connection, and the gain of a second process."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from benchmarks import limits, load, peers, proxies, table
from benchmarks.peers import Ingestion
from benchmarks.proxies import Mode, Proxy

WARM_UP = 400

RUNS = 3

HEAD = ("", "CPU per request, ms", "requests/s and core", "requests/s here", "load generator's share")

JSON = "/json"
LARGE = "/bytes?n=65536&type=application/json"


@dataclass(frozen=True)
class Case:
    """A kind of request, and the number of processes that serve it."""

    name: str
    path: str = JSON
    scheme: str = "http"
    processes: int = 1


CASES = (
    Case("700 bytes"),
    Case("64 KB", LARGE),
    Case("700 bytes, clients with TLS", scheme="https"),
    Case("700 bytes, `--processes 2`", processes=2),
)


@dataclass(frozen=True)
class Run:
    """The cost of one run.

    Attributes:
        cpu_ms: the proxy's CPU time per request in milliseconds.
        per_s: requests per second.
        others: the load generator's share of the CPU time of proxy and generator together.
    """

    cpu_ms: float
    per_s: float
    others: float


def report(requests: int) -> str:
    """Measure and return the section.

    Args:
        requests: requests of each run.
    """
    with limits.many_files(), peers.running_ingestion() as ingestion, peers.running_target() as target:
        cases = [case for case in CASES if case.scheme == "http" or load.speaks_tls()]
        rows = [_row(case, _measured(case, target, ingestion, requests)) for case in cases]
        open_rows = [_open_row(kind, target, ingestion) for kind in KINDS]
    return "\n\n".join(
        [
            "### Sizing",
            f"{table.machine()}. `akto-mirror run` in front of an asyncio server; load: {load.tool()}, "
            f"{load.CONNECTIONS} connections; {RUNS} runs of {requests} requests each, medians. Requests a second and "
            "core follow from the CPU time. Load generator, target and proxy share the cores here; the share is of the "
            "CPU time of load generator and proxy.",
            table.render(HEAD, rows),
            "Connections that stay open, their connections to the target included:",
            table.render(OPEN_HEAD, open_rows),
        ]
    )


def _measured(case: Case, target: int, ingestion: Ingestion, requests: int) -> list[Run]:
    with _running(case.processes, target, ingestion) as proxy:
        load.run(proxy.port, WARM_UP, path=case.path, scheme=case.scheme)
        return [_run(proxy, case, ingestion, requests) for _ in range(RUNS)]


@contextmanager
def _running(processes: int, target: int, ingestion: Ingestion) -> Generator[Proxy]:
    mode: Mode = proxies.under_run(ingestion.url, processes)
    with proxies.running_proxy(mode, target, ingestion.url) as proxy:
        yield proxy


def _run(proxy: Proxy, case: Case, ingestion: Ingestion, requests: int) -> Run:
    entries, cpu_s, others_s = ingestion.entries, proxy.cpu_s(), _children_s()
    seen = load.summary(load.run(proxy.port, requests, path=case.path, scheme=case.scheme))
    ingestion.wait_for(entries + requests)
    own, others = proxy.cpu_s() - cpu_s, _children_s() - others_s
    return Run(own * 1000 / requests, seen.per_s, others / (own + others))


def _children_s() -> float:
    """Return the CPU seconds of the load generators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(case: Case, runs: Sequence[Run]) -> list[str]:
    cpu_ms = median(run.cpu_ms for run in runs)
    return [
        case.name,
        f"{cpu_ms:.3f}",
        f"{1000 / cpu_ms:.0f}",
        f"{median(run.per_s for run in runs):.0f}",
        f"{median(run.others for run in runs):.0%}",
    ]


@dataclass(frozen=True)
class Kind:
    """A kind of connection that stays open.

    Attributes:
        name: the name in the table.
        most: the number of connections, opened in two halves.
        path: the path that each requests once.
        until: the end of the response that is read before the next connection is opened.
    """

    name: str
    most: int
    path: str
    until: bytes


KINDS = (
    Kind("idle keep-alive connections", 2000, JSON, peers.JSON_BODY),
    Kind("live event streams", 1000, "/events?after_ms=3600000&every_ms=3600000", b"data: "),
)

OPEN_HEAD = ("", "open", "memory each, KiB", "each of the first half", "each of the second half")


def _open_row(kind: Kind, target: int, ingestion: Ingestion) -> list[str]:
    """Return the row for one kind of open connection; its connection to the target is included."""
    with _running(1, target, ingestion) as proxy, ExitStack() as stack:
        load.run(proxy.port, WARM_UP, path=JSON)
        memory = [proxy.memory_mib()]
        for _ in range(2):
            for _ in range(kind.most // 2):
                stack.enter_context(_kept(proxy.port, kind))
            memory.append(proxy.memory_mib())
    halves = [(after - before) * 1024 / (kind.most // 2) for before, after in pairwise(memory)]
    return [kind.name, str(kind.most), *(f"{each:.0f}" for each in (sum(halves) / 2, *halves))]


@contextmanager
def _kept(port: int, kind: Kind) -> Generator[None]:
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 60)) as client:
        client.sendall(f"GET {kind.path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        answer = b""
        while kind.until not in answer:
            answer += client.recv(65536)
        yield
