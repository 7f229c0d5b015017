"""A process that only captures and delivers: `python -m tests.faults.host URL FOLDER …`, with metrics, without a proxy.

It prints the port of its metrics, captures entries until it reads a line from its standard input, and delivers until
SIGTERM; then it prints its counts, as the addon does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import random
import signal
import sys
import threading
import time
from pathlib import Path

from akto_mirror.accounts import Stats
from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.policy import Policy, SpoolPlan
from akto_mirror.delivery.retry import Durability, Pace
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.telemetry.observation import observe
from akto_mirror.telemetry.server import MetricsServer

LEASE_S = 3.0
TARGET = "http://akto"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.host", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="r")
    parser.add_argument("--durability", type=Durability, default=Durability.SPILL)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.002)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    shipper = Shipper(_policy(args.folder, args.durability), HttpSink(args.url), Stats())
    served = MetricsServer("127.0.0.1", 0, lambda: observe(shipper.stats, shipper, 4 * 2**20, args.folder, TARGET))
    shipper.start()
    sys.stdout.write(f"{served.port}\n")
    sys.stdout.flush()
    threading.Thread(target=_capture, args=(shipper, args), daemon=True).start()
    while not ending.wait(0.1):
        # A signal that another thread handles does not wake this one.
        pass
    shipper.close().result(60)
    sys.stdout.write(f"{shipper.stats.snapshot()}\n")


def _policy(folder: Path, durability: Durability) -> Policy:
    return Policy(
        Limits(50, 200_000, 0.05),
        4 * 2**20,
        timeout_s=5,
        shutdown_s=2,
        durability=durability,
        spool=SpoolPlan(folder, 10**9, TARGET, LEASE_S),
        pace=Pace(first_s=0.02, longest_s=0.2),
    )


def _capture(shipper: Shipper, args: argparse.Namespace) -> None:
    draw, stopped = random.Random(args.seed), threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        stopped.set()

    threading.Thread(target=listen, daemon=True).start()
    for number in itertools.count():
        if stopped.is_set():
            return
        entry = {"path": f"/{args.name}/{number}", "method": "GET", "requestPayload": "x" * draw.randrange(20, 20_000)}
        shipper.offer(json.dumps(entry).encode())
        time.sleep(args.pause)


if __name__ == "__main__":
    main()
