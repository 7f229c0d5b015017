"""CPU time a request: plain mitmdump, with the addon, and with one POST a flow."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load, peers, proxies, table
from benchmarks.load import Load
from benchmarks.peers import Ingestion
from benchmarks.proxies import PLAIN, Mode

# Requests before the measured ones: connections, imports and caches are made then.
WARM_UP = 320

HEAD = (
    "", "CPU a request, ms", "times plain", "requests/s", "p50, ms", "p99, ms", "peak memory, MiB", "entries received"
)  # fmt: skip


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


def report(rounds: int, requests: int, scripts: dict[str, Path]) -> str:
    """Measure and return the section; `scripts` are other versions of the addon to measure beside it, by name."""
    with tempfile.TemporaryDirectory() as folder:
        with peers.running_json_target(Path(folder)) as (port, target), peers.running_ingestion() as ingestion:
            modes = _modes(ingestion, scripts)
            runs = [
                [_run(mode, port, ingestion, requests) for mode in _rotated(modes, number)] for number in range(rounds)
            ]
    return _section(runs, modes, requests, target)


def _modes(ingestion: Ingestion, scripts: dict[str, Path]) -> list[Mode]:
    others = [proxies.with_addon(ingestion.url, script, name) for name, script in scripts.items()]
    return [PLAIN, proxies.with_addon(ingestion.url), *others, proxies.posting_each_flow()]


def _rotated(modes: Sequence[Mode], by: int) -> list[Mode]:
    """Give each mode each place in turn, so that none is always the one that runs on a warm or a throttled machine."""
    start = by % len(modes)
    return [*modes[start:], *modes[:start]]


def _run(mode: Mode, target_port: int, ingestion: Ingestion, requests: int) -> Run:
    """Measure one mode in a fresh process, the delivery of its last entry included."""
    with proxies.running_proxy(mode, target_port, ingestion.url) as proxy:
        before = ingestion.entries, ingestion.characters
        load.run(proxy.port, WARM_UP)
        _settle(mode, ingestion, before[0] + WARM_UP)
        characters, cpu_s = ingestion.characters, proxy.cpu_s()
        seen = load.run(proxy.port, requests)
        entries = _settle(mode, ingestion, before[0] + WARM_UP + requests) - before[0] - WARM_UP
        cpu_ms = (proxy.cpu_s() - cpu_s) * 1000 / requests
        return Run(mode, requests, cpu_ms, seen, proxy.peak_mib(), entries, ingestion.characters - characters)


def _settle(mode: Mode, ingestion: Ingestion, entries: int) -> int:
    return ingestion.entries if mode is PLAIN else ingestion.wait_for(entries)


def ratios(runs: Sequence[Sequence[Run]], mode: Mode) -> list[float]:
    """Compare a mode's CPU time with that of plain mitmdump in the same round."""
    return [_of(one_round, mode).cpu_ms / _of(one_round, PLAIN).cpu_ms for one_round in runs]


def _of(one_round: Sequence[Run], mode: Mode) -> Run:
    return next(run for run in one_round if run.mode is mode)


def _section(runs: Sequence[Sequence[Run]], modes: Sequence[Mode], requests: int, target: str) -> str:
    rows = [_row([_of(one_round, mode) for one_round in runs], ratios(runs, mode)) for mode in modes]
    return "\n\n".join(
        [
            "### Throughput",
            f"{table.machine()}. Target: {target}, {len(peers.JSON_BODY)} bytes of JSON; load: {load.tool()}, "
            f"{load.CONNECTIONS} connections, {requests} requests a run; {len(runs)} rounds, all modes in each, "
            "their order rotated. CPU time is that of the whole mitmdump process, user and system, until its last "
            "entry has arrived. Medians, in brackets the least and the greatest; a ratio compares runs of one round.",
            table.render(HEAD, rows),
        ]
    )


def _row(runs: Sequence[Run], times_plain: Sequence[float]) -> list[str]:
    mode = runs[0].mode
    return [
        mode.name,
        f"{median(run.cpu_ms for run in runs):.3f}",
        "1" if mode is PLAIN else table.spread(times_plain, 2),
        f"{median(run.load.per_s for run in runs):.0f}",
        f"{median(run.load.p50_ms for run in runs):.1f}",
        f"{median(run.load.p99_ms for run in runs):.1f}",
        f"{median(run.peak_mib for run in runs):.0f}",
        "–" if mode is PLAIN else _received(runs),  # noqa: RUF001 - stands for nothing to tell
    ]


def _received(runs: Sequence[Run]) -> str:
    if all(run.is_whole for run in runs):
        return f"all {sum(run.requests for run in runs)}"
    return f"**{sum(run.entries for run in runs)} of {sum(run.requests for run in runs)}: figures void**"
