"""CPU time per request and throughput: plain mitmdump, with the addon, `akto-mirror run`, and other ways to mirror."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load, peers, proxies, table, workerd
from benchmarks.load import Load
from benchmarks.peers import Ingestion
from benchmarks.proxies import LISTENING, PLAIN, Mode, Proxy
from benchmarks.workerd import WORKER, Rig

# Requests of the warm-up, which opens connections, imports modules and fills caches.
WARM_UP = 400

# Runs of each mode in a round. Short runs close together see the same state of the machine.
RUNS = 2

HEAD = (
    "",
    "CPU per request, ms",
    "times plain",
    "throughput, times plain",
    "requests/s",
    "p50, ms",
    "p99, ms",
    "peak memory, MiB",
    "entries received",
)


@dataclass(frozen=True)
class Run:
    """One run of one mode."""

    mode: Mode
    requests: int
    cpu_ms: float
    load: Load
    peak_mib: float
    entries: int
    characters: int

    @property
    def is_whole(self) -> bool:
        """Return whether every entry arrived with its whole payload."""
        return self.entries == self.requests and self.characters == self.requests * len(peers.JSON_BODY)


Row = dict[Mode, Run]
Round = list[Row]


def report(rounds: int, requests: int, scripts: dict[str, Path], rig: Rig | None = None) -> str:
    """Measure and return the section.

    Args:
        rounds: the number of fresh processes of each mode.
        requests: requests of each mode in a round, in `RUNS` runs.
        scripts: other versions of the addon to measure as well, by name.
        rig: runs Akto's Worker, as a mode of its own.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        peers.running_ingestion() as ingestion,
        peers.running_json_target(Path(folder)) as (port, target),
    ):
        modes = _modes(ingestion, scripts, with_worker=rig is not None)
        start = _starter(port, ingestion, rig)
        measured = [_round(modes, turn, start, ingestion, requests // RUNS) for turn in range(rounds)]
    return _section(measured, modes, target)


def _modes(ingestion: Ingestion, scripts: dict[str, Path], *, with_worker: bool) -> list[Mode]:
    others = [proxies.with_addon(ingestion.url, script, name) for name, script in scripts.items()]
    return [
        PLAIN,
        LISTENING,
        proxies.with_addon(ingestion.url),
        proxies.with_addon(ingestion.url, name=f"{proxies.MIRRORING}, redacting", args=proxies.REDACTING),
        proxies.under_run(ingestion.url),
        proxies.under_run(ingestion.url, name=f"{proxies.RUNNING}, redacting", args=proxies.REDACTING),
        *([WORKER] if with_worker else []),
        *(others or [proxies.posting_each_flow()]),
    ]


Starter = Callable[[Mode], AbstractContextManager[Proxy]]


def _starter(target_port: int, ingestion: Ingestion, rig: Rig | None) -> Starter:
    def start(mode: Mode) -> AbstractContextManager[Proxy]:
        if rig is not None and mode is WORKER:
            return workerd.running_worker(rig, target_port, ingestion.url)
        return proxies.running_proxy(mode, target_port, ingestion.url)

    return start


def _round(modes: Sequence[Mode], turn: int, start: Starter, ingestion: Ingestion, requests: int) -> Round:
    """Measure all modes in turn, each in a fresh process."""
    with _running(modes, start) as running:
        for mode, proxy in running.items():
            _run(mode, proxy, ingestion, WARM_UP)
        return [
            {mode: _run(mode, running[mode], ingestion, requests) for mode in _rotated(modes, turn + number)}
            for number in range(RUNS)
        ]


@contextmanager
def _running(modes: Sequence[Mode], start: Starter) -> Generator[dict[Mode, Proxy]]:
    with ExitStack() as stack:
        yield {mode: stack.enter_context(start(mode)) for mode in modes}


def _rotated(modes: Sequence[Mode], by: int) -> list[Mode]:
    """Rotate the order of the modes, so that none always runs on a warm or a throttled machine."""
    start = by % len(modes)
    return [*modes[start:], *modes[:start]]


def _run(mode: Mode, proxy: Proxy, ingestion: Ingestion, requests: int) -> Run:
    """Measure one run, including the delivery of its last entry."""
    entries, characters, cpu_s = ingestion.entries, ingestion.characters, proxy.cpu_s()
    seen = load.summary(load.run(proxy.port, requests))
    received = (ingestion.wait_for(entries + requests) if _mirrors(mode) else ingestion.entries) - entries
    cpu_ms = (proxy.cpu_s() - cpu_s) * 1000 / requests
    return Run(mode, requests, cpu_ms, seen, proxy.peak_mib(), received, ingestion.characters - characters)


def _mirrors(mode: Mode) -> bool:
    return mode not in (PLAIN, LISTENING)


def ratios(rounds: Sequence[Round], mode: Mode, figure: Callable[[Run], float]) -> list[float]:
    """Divide a mode's figure by plain mitmdump's, round by round: each round has a fresh process of both."""
    return [sum(figure(row[mode]) for row in each) / sum(figure(row[PLAIN]) for row in each) for each in rounds]


def cpu(run: Run) -> float:
    """Return the CPU time per request in milliseconds."""
    return run.cpu_ms


def throughput(run: Run) -> float:
    """Return requests per second."""
    return run.load.per_s


def _section(rounds: Sequence[Round], modes: Sequence[Mode], target: str) -> str:
    requests = rounds[0][0][PLAIN].requests
    return "\n\n".join(
        [
            "### Throughput",
            f"{table.machine()}. Target: {target}, {len(peers.JSON_BODY)} bytes of JSON; load: {load.tool()}, "
            f"{load.CONNECTIONS} connections; {len(rounds)} fresh processes of each mode, side by side, {RUNS} runs of "
            f"{requests} requests each, the modes in turns, their order rotated. CPU time is that of the whole "
            "process, user and system, until the last entry of the run has arrived. Figures are medians of all runs, "
            "of the CPU time with quartiles; ratios compare a process with the plain mitmdump that ran beside it, in "
            "brackets the interval that holds the true median with 95 % confidence.",
            table.render(HEAD, [_row(rounds, mode) for mode in modes]),
        ]
    )


def _row(rounds: Sequence[Round], mode: Mode) -> list[str]:
    runs = [row[mode] for each in rounds for row in each]
    return [
        mode.name,
        table.spread([run.cpu_ms for run in runs], 3),
        *(_times_plain(rounds, mode, figure, digits) for figure, digits in ((cpu, 3), (throughput, 2))),
        f"{median(run.load.per_s for run in runs):.0f}",
        f"{median(run.load.p50_ms for run in runs):.1f}",
        f"{median(run.load.p99_ms for run in runs):.1f}",
        f"{max(run.peak_mib for run in runs):.0f}",
        _received(runs) if _mirrors(mode) else "none, as it should be",
    ]


def _times_plain(rounds: Sequence[Round], mode: Mode, figure: Callable[[Run], float], digits: int) -> str:
    return "1" if mode is PLAIN else table.confident(ratios(rounds, mode, figure), digits)


def _received(runs: Sequence[Run]) -> str:
    if all(run.is_whole for run in runs):
        return f"all {sum(run.requests for run in runs)}"
    return f"**{sum(run.entries for run in runs)} of {sum(run.requests for run in runs)}: figures void**"
