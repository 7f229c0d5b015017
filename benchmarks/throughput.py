"""CPU time a request: plain mitmdump, with the addon, and with one POST a flow."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load, peers, proxies, table
from benchmarks.load import Load
from benchmarks.peers import Ingestion
from benchmarks.proxies import PLAIN, Mode, Proxy

# Requests before the measured ones: connections, imports and caches are made then.
WARM_UP = 400

# Runs of each mode in a round. Runs that are short and stand close to each other meet the same machine.
RUNS = 5

HEAD = (
    "",
    "CPU a request, ms (least)",
    "times plain",
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
        """Tell whether every entry arrived, and every payload whole."""
        return self.entries == self.requests and self.characters == self.requests * len(peers.JSON_BODY)


Row = dict[Mode, Run]


def report(rounds: int, requests: int, scripts: dict[str, Path]) -> str:
    """Measure and return the section.

    Args:
        rounds: how often each mode gets a fresh process.
        requests: how many each mode gets in a round, in `RUNS` runs.
        scripts: other versions of the addon to measure in the place of one POST a flow, by name.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        peers.running_ingestion() as ingestion,
        peers.running_json_target(Path(folder)) as (port, target),
    ):
        modes = _modes(ingestion, scripts)
        runs = [row for turn in range(rounds) for row in _round(modes, turn, port, ingestion, requests // RUNS)]
    return _section(runs, modes, target)


def _modes(ingestion: Ingestion, scripts: dict[str, Path]) -> list[Mode]:
    others = [proxies.with_addon(ingestion.url, script, name) for name, script in scripts.items()]
    return [PLAIN, proxies.with_addon(ingestion.url), *(others or [proxies.posting_each_flow()])]


def _round(modes: Sequence[Mode], turn: int, target_port: int, ingestion: Ingestion, requests: int) -> list[Row]:
    """Measure all modes in turns, each in a fresh process."""
    with _running(modes, target_port, ingestion) as running:
        for mode, proxy in running.items():
            _run(mode, proxy, ingestion, WARM_UP)
        return [
            {mode: _run(mode, running[mode], ingestion, requests) for mode in _rotated(modes, turn + number)}
            for number in range(RUNS)
        ]


@contextmanager
def _running(modes: Sequence[Mode], target_port: int, ingestion: Ingestion) -> Generator[dict[Mode, Proxy]]:
    with ExitStack() as stack:
        yield {mode: stack.enter_context(proxies.running_proxy(mode, target_port, ingestion.url)) for mode in modes}


def _rotated(modes: Sequence[Mode], by: int) -> list[Mode]:
    """Give each mode each place in turn, so that none is always the one that runs on a warm or a throttled machine."""
    start = by % len(modes)
    return [*modes[start:], *modes[:start]]


def _run(mode: Mode, proxy: Proxy, ingestion: Ingestion, requests: int) -> Run:
    """Measure one run, the delivery of its last entry included."""
    entries, characters, cpu_s = ingestion.entries, ingestion.characters, proxy.cpu_s()
    seen = load.summary(load.run(proxy.port, requests))
    received = (ingestion.entries if mode is PLAIN else ingestion.wait_for(entries + requests)) - entries
    cpu_ms = (proxy.cpu_s() - cpu_s) * 1000 / requests
    return Run(mode, requests, cpu_ms, seen, proxy.peak_mib(), received, ingestion.characters - characters)


def ratios(rows: Sequence[Row], mode: Mode) -> list[float]:
    """Compare a mode's CPU time with that of plain mitmdump in the run beside it."""
    return [row[mode].cpu_ms / row[PLAIN].cpu_ms for row in rows]


def _section(rows: Sequence[Row], modes: Sequence[Mode], target: str) -> str:
    requests = rows[0][PLAIN].requests
    return "\n\n".join(
        [
            "### Throughput",
            f"{table.machine()}. Target: {target}, {len(peers.JSON_BODY)} bytes of JSON; load: {load.tool()}, "
            f"{load.CONNECTIONS} connections; {len(rows)} runs of {requests} requests each, the modes in turns, their "
            f"order rotated, each mode in a fresh process every {RUNS} runs. CPU time is that of the whole mitmdump "
            "process, user and system, until the last entry of the run has arrived. All figures are medians of the "
            "runs; a ratio compares neighbouring runs, in brackets its quartiles.",
            table.render(HEAD, [_row([row[mode] for row in rows], ratios(rows, mode)) for mode in modes]),
        ]
    )


def _row(runs: Sequence[Run], times_plain: Sequence[float]) -> list[str]:
    mode = runs[0].mode
    return [
        mode.name,
        f"{median(run.cpu_ms for run in runs):.3f} ({min(run.cpu_ms for run in runs):.3f})",
        "1" if mode is PLAIN else table.spread(times_plain, 3),
        f"{median(run.load.per_s for run in runs):.0f}",
        f"{median(run.load.p50_ms for run in runs):.1f}",
        f"{median(run.load.p99_ms for run in runs):.1f}",
        f"{max(run.peak_mib for run in runs):.0f}",
        "none, as it should be" if mode is PLAIN else _received(runs),
    ]


def _received(runs: Sequence[Run]) -> str:
    if all(run.is_whole for run in runs):
        return f"all {sum(run.requests for run in runs)}"
    return f"**{sum(run.entries for run in runs)} of {sum(run.requests for run in runs)}: figures void**"
