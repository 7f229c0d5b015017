"""Minutes of random failures under load, with an oracle: `python -m tests.faults.soak --minutes 10`, or `make soak`.

Akto answers, refuses, hangs, resets, drips, answers garbage or accepts a batch and loses the answer, and is down for
seconds at a time; sometimes the proxy is ended, killed, or its script reloaded. The oracle knows every request.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.kills import BATCH, GRACE_S, LINGER_MS, Stalls, waiting
from tests.faults.load import Api, Clients, Crowd, GrpcApi, GrpcClients
from tests.faults.server import OK, FaultServer, wait_for, weather
from tests.support.proxy import ADDON, Proxy, running_mitmdump, under_run

# With sampling no path has to arrive; kills, which lose the counts, are left out.
SAMPLING = {"akto_sample": "novel", "akto_sample_window_s": "1", "akto_sample_per_window": "20"}

LAST_LINE = re.compile(r"akto: captured (\d+).*; skipped (\d+)(.*)")

# Seconds between two events.
EVERY_S = (2.0, 8.0)


@dataclass
class Tally:
    """The events, and the oracle's result.

    Attributes:
        owed: paths of requests whose entries must arrive.
        kills: how often the proxy was killed.
        ends: how often it was ended in an orderly way.
        reloads: how often its script was reloaded.
        outages: how often Akto was down.
        peak_mib: the highest peak of resident memory of any proxy.
        lost_answers: entries of accepted batches whose answer was lost.
        calls: the number of answered gRPC calls among the requests.
        captured: entries of proxies that ended in an orderly way, by their own counts.
        skipped: flows that these proxies skipped.
        unaccounted: requests that these proxies answered, and neither captured nor skipped.
    """

    owed: set[str] = field(default_factory=set)
    kills: int = 0
    ends: int = 0
    reloads: int = 0
    outages: int = 0
    peak_mib: float = 0.0
    requests: int = 0
    calls: int = 0
    delivered: int = 0
    duplicated: int = 0
    allowed: int = 0
    lost: int = 0
    invented: int = 0
    captured: int = 0
    skipped: int = 0
    unaccounted: int = 0

    def __str__(self) -> str:
        return (
            f"requests {self.requests} ({self.calls} gRPC calls), owed {len(self.owed)}, delivered {self.delivered}, "
            f"duplicated {self.duplicated} (explained: up to {self.allowed}), lost {self.lost}; "
            f"kills {self.kills}, ends {self.ends}, reloads {self.reloads}, outages {self.outages}, "
            f"peak memory {self.peak_mib:.0f} MiB; captured {self.captured}, skipped {self.skipped}, "
            f"unaccounted {self.unaccounted}"
        )

    @property
    def is_good(self) -> bool:
        """Return whether nothing was lost or invented, and duplicates are explained."""
        return not (self.lost or self.invented or self.unaccounted) and self.duplicated <= self.allowed


def run(seconds: float, folder: Path, seed: int, *, samples: bool = False) -> Tally:
    """Run random failures for this long; then let everything arrive."""
    draw = random.Random(seed)
    tally = Tally()
    script = folder / "addon.py"
    shutil.copy(ADDON, script)
    with (
        Api() as api,
        GrpcApi() as grpc_api,
        FaultServer() as akto,
        Clients(4, 0.004) as plain,
        GrpcClients(2, 0.01) as calls,
        Stalls(folder) as stalls,
    ):
        clients = Crowd((plain, calls))
        modes = [f"reverse:http://127.0.0.1:{each.port}" for each in (api, grpc_api)]
        options = {
            "akto_url": akto.url,
            "akto_durability": "disk",
            "akto_spool_dir": str(folder / "spool"),
            "akto_linger_ms": str(LINGER_MS),
            "akto_timeout_s": "2",
        } | (SAMPLING if samples else {})
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with running_mitmdump(*modes, options=options, scripts=[script]) as proxy:
                _life(proxy, akto, clients, script, draw, tally, end, stalls if not samples else None)
        clients.stop()
        akto.script = OK
        with running_mitmdump(*modes, options=options, scripts=[script]):
            _drain(folder, akto)
        _judge(tally, clients, akto, samples=samples)
        tally.calls = len(calls.answered)
    return tally


def _drain(folder: Path, akto: FaultServer) -> None:
    """Wait until the spool is empty, as long as entries continue to arrive.

    Raises:
        AssertionError: some are spooled, and none has arrived for a minute and more: batches of a process that was
            killed are free after half of one.
    """
    while waiting(folder):
        arrived = len(akto.taken)
        wait_for(lambda: len(akto.taken) > arrived or not waiting(folder), 90)  # noqa: B023 - called at once


def _life(  # noqa: PLR0917 - all that one life touches
    proxy: Proxy,
    akto: FaultServer,
    clients: Crowd,
    script: Path,
    draw: random.Random,
    tally: Tally,
    end: float,
    stalls: Stalls | None,
) -> None:
    """Run one proxy until it is killed or ended, and record what must arrive; without `stalls` it is not killed."""
    began = time.monotonic()
    clients.aim(proxy)
    while True:
        time.sleep(draw.uniform(*EVERY_S))
        akto.script = weather(draw.randrange(2**32))
        event = draw.choice(["outage", "outage", "reload", "kill" if stalls else "outage", "end"])
        tally.peak_mib = max(tally.peak_mib, _peak_mib(proxy))
        if time.monotonic() > end or event == "end":
            return _end(proxy, clients, tally, began)
        if event == "kill" and stalls:
            return _kill(proxy, clients, tally, began, stalls)
        if event == "outage":
            _be_away(akto, draw, tally)
        else:
            tally.reloads += 1
            stamp = time.time() + tally.reloads
            os.utime(script, (stamp, stamp))


def _kill(proxy: Proxy, clients: Crowd, tally: Tally, began: float, stalls: Stalls) -> None:
    tally.kills += 1
    killed = time.monotonic()
    proxy.kill()
    due = killed - GRACE_S - stalls.before(killed)
    tally.owed |= {path for path, at in clients.answered.items() if began < at < due}
    clients.aim(None)


def _end(proxy: Proxy, clients: Crowd, tally: Tally, began: float) -> None:
    """End the proxy in an orderly way: every request answered before must arrive as an entry."""
    tally.ends += 1
    clients.aim(None)
    answered = {path for path, at in clients.answered.items() if at > began}
    proxy.process.send_signal(signal.SIGTERM)
    proxy.process.wait(60)
    proxy.reader.join(60)
    last = LAST_LINE.search("\n".join(proxy.log[-20:]))
    assert last, "\n".join(proxy.log)
    captured, skipped = int(last[1]), int(last[2])
    tally.captured += captured
    tally.skipped += skipped
    tally.unaccounted += max(0, len(answered) - captured - skipped)
    if "sampled" not in last[3]:
        tally.owed |= answered


def _be_away(akto: FaultServer, draw: random.Random, tally: Tally) -> None:
    tally.outages += 1
    akto.stop()
    time.sleep(draw.uniform(0.5, 5.0))
    akto.start()


def _peak_mib(proxy: Proxy) -> float:
    """Return the peak memory of the proxy, or of the largest of its workers."""
    paths = [Path(f"/proc/{pid}/status") for pid in (proxy.process.pid, *proxy.workers)]
    lines = [line for path in paths if path.exists() for line in path.read_text().splitlines()]
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), default=0.0)


def _judge(tally: Tally, clients: Crowd, akto: FaultServer, *, samples: bool) -> None:
    taken = akto.taken
    tally.requests = len(clients.answered)
    tally.delivered = len(taken)
    tally.duplicated = sum(taken.values()) - len(taken)
    # A batch is sent again if its answer was lost, or if it was in flight at a kill or an end.
    tally.allowed = akto.seen.unanswered + BATCH * (tally.kills + tally.ends + tally.outages)
    tally.lost = abs(tally.captured - len(taken)) if samples else len(tally.owed - set(taken))
    tally.invented = len(set(taken) - clients.sent)


def main() -> int:
    """Run from the command line; return 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--sample", action="store_true", help="with akto_sample=novel, and without kills")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--processes", type=int, default=0, help="soak `akto-mirror run` with this many workers")
    args = parser.parse_args()
    under = under_run(args.processes) if args.processes else contextlib.nullcontext()
    sys.stdout.write(f"seed {args.seed}\n")
    with tempfile.TemporaryDirectory() as folder, under:
        tally = run(args.minutes * 60, Path(folder), args.seed, samples=args.sample)
    sys.stdout.write(f"{tally}\n")
    return 0 if tally.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
