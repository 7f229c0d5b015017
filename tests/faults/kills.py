"""Kill the proxy at random moments under load, and check what was lost: `python -m tests.faults.kills 100`."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from akto_mirror.background_server import Running
from tests.faults.destinations import Service, Topic
from tests.faults.load import Api, Clients
from tests.faults.server import wait_for
from tests.support.proxy import running_mitmdump, under_run

LINGER_MS = 200
BATCH = 100

# The guarantee of `disk`: everything captured longer ago than this survives.
GRACE_S = LINGER_MS / 1000 + 1.0


class Stalls(Running):
    """Measures the delays of the machine itself: how long a thread waits for the CPU and for the disk.

    Args:
        folder: a folder on the spool's disk.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "stalls"
        self._rounds: deque[tuple[float, float]] = deque([(0.0, time.monotonic())], maxlen=10_000)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def start(self) -> None:
        """Start measuring."""
        self._thread.start()

    def stop(self) -> None:
        """Stop measuring."""
        self._over.set()
        self._thread.join()

    def before(self, moment: float) -> float:
        """Return the longest write within the five seconds before a moment, in seconds."""
        rounds = [*self._rounds, (self._rounds[-1][1], moment)]
        return max(end - start for start, end in rounds[1:] if end > moment - 5.0)

    def _measure(self) -> None:
        with self._file.open("wb", buffering=0) as out:
            while not self._over.wait(0.01):
                out.write(b"x")
                os.fsync(out.fileno())
                self._rounds.append((self._rounds[-1][1], time.monotonic()))


@dataclass(frozen=True)
class Verdict:
    """The oracle's result.

    Attributes:
        kills: how often the proxy was killed.
        requests: requests that the proxy answered.
        owed: of these, answered long enough before a kill, or never followed by one; long enough is `GRACE_S` and what
            the machine itself took at that time to let a thread write to the disk.
        delivered: distinct entries that arrived.
        lost: owed, and never arrived.
        late: not owed, and never arrived.
        duplicated: deliveries beyond the first of each entry.
        allowed: duplicates that batches in flight explain.
        invented: arrived, but never requested.
    """

    kills: int
    requests: int
    owed: int
    delivered: int
    lost: int
    late: int
    duplicated: int
    allowed: int
    invented: int

    def __str__(self) -> str:
        return (
            f"kills {self.kills}, requests {self.requests}, owed {self.owed}, delivered {self.delivered}, "
            f"lost {self.lost}, captured in the last {GRACE_S} s before a kill and lost {self.late}, "
            f"duplicated {self.duplicated} (batches in flight explain up to {self.allowed})"
        )


def run(
    kills: int, folder: Path, seed: int = 0, longest_s: float = 3.0, destination: type[Service | Topic] = Service
) -> Verdict:
    """Kill the proxy this many times, while the destination comes and goes; then let everything arrive."""
    draw = random.Random(seed)
    owed: set[str] = set()
    with Api() as api, destination() as akto, Clients(4, 0.005) as clients, Stalls(folder) as stalls:
        options = {
            "akto_url": akto.url,
            "akto_durability": "disk",
            "akto_spool_dir": str(folder / "spool"),
            "akto_linger_ms": str(LINGER_MS),
            "akto_batch_entries": str(BATCH),
            "akto_timeout_s": "5",
        }
        for _ in range(kills):
            with running_mitmdump(f"reverse:http://127.0.0.1:{api.port}", options=options) as proxy:
                akto.change(draw)
                began = time.monotonic()
                clients.port = proxy.port
                # A random moment, not a synchronisation; delays of a busy machine come on top.
                time.sleep(draw.uniform(0.05, longest_s) + stalls.before(time.monotonic()))
                killed = time.monotonic()
                proxy.kill()
                due = killed - GRACE_S - stalls.before(killed)
                owed |= {path for path in clients.before(due) if clients.answered[path] > began}
                clients.port = 0
        clients.stop()
        akto.work()
        with running_mitmdump(f"reverse:http://127.0.0.1:{api.port}", options=options):
            # The batches of the last killed proxy are free when its lease of 30 s is over.
            wait_for(lambda: not waiting(folder), 180)
        taken = akto.taken
    return Verdict(
        kills=kills,
        requests=len(clients.answered),
        owed=len(owed),
        delivered=len(taken),
        lost=len(owed - set(taken)),
        late=len(set(clients.answered) - owed - set(taken)),
        duplicated=sum(taken.values()) - len(taken),
        allowed=kills * BATCH,
        invented=len(set(taken) - clients.sent),
    )


def waiting(folder: Path) -> bool:
    """Return whether the spool has waiting entries."""
    from akto_mirror.delivery.spool.spool import Spool  # noqa: PLC0415 - the module is also run as a program

    spool = Spool(folder / "spool", target="", limit=1, owner="oracle")
    try:
        return bool(spool.waiting())
    finally:
        spool.close()


def main() -> int:
    """Run from the command line; return 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=0, help="kill `akto-mirror run` with this many workers")
    parser.add_argument("--kafka", action="store_true", help="deliver to a topic of Kafka")
    args = parser.parse_args()
    under = under_run(args.processes) if args.processes else contextlib.nullcontext()
    with tempfile.TemporaryDirectory() as folder, under:
        verdict = run(args.kills, Path(folder), args.seed, destination=Topic if args.kafka else Service)
    sys.stdout.write(f"{verdict}\n")
    return 1 if verdict.lost or verdict.invented or verdict.duplicated > verdict.allowed else 0


if __name__ == "__main__":
    sys.exit(main())
