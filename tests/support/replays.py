"""Helpers that run `akto-mirror replay`, and recordings for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mitmproxy import flow
from mitmproxy.io import FlowWriter

from akto_mirror.ingestion.arrivals import Answer
from akto_mirror.ingestion.service import Receiver
from tests.support import flows as made
from tests.support.command import call
from tests.support.proxy import DEADLINE

COMMAND = [sys.executable, "-m", "akto_mirror", "replay"]


MISSING = "bodies missing from the recording"


def replay(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `akto-mirror replay` to its end; each summary that it prints must add up."""
    done = call("replay", *words, **variables)
    for line in done.stdout.splitlines():
        if " flows = " in line or " flow = " in line:
            check_sum(line)
    return done


def peak_memory(path: Path, seconds: float) -> int:
    """Return the peak memory in bytes of a separate process that replays a file."""
    script = (
        "import pathlib, sys; from akto_mirror.cli import main; code = main();"
        " print(pathlib.Path('/proc/self/status').read_text()); sys.exit(code)"
    )
    with Receiver() as akto:
        words = ["replay", str(path), "--to", akto.url, "--set", "akto_queue_bytes=4000000"]
        command = [sys.executable, "-c", script, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True, env=os.environ)
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert peak
    return int(peak[1]) * 1024


def check_sum(line: str) -> None:
    """Check that the parts after the equals sign add up to what is before it, and that each part's reasons do too."""
    whole, parts = re.sub(r"^.*?(\d+) flows?", r"\1", line).split(" = ")
    counts = []
    for part in parts.split(" + "):
        counts.append(int(part.split()[0]))
        if reasons := re.search(r"\((.*)\)", part):
            assert sum(int(reason.split()[-1]) for reason in reasons[1].split(", ")) == counts[-1], line
    assert sum(counts) == int(whole), line


def save(path: Path, flows: Iterable[flow.Flow]) -> Path:
    """Write flows to a file."""
    with path.open("wb") as file:
        writer = FlowWriter(file)
        for item in flows:
            writer.add(item)
    return path


def many(path: Path, count: int, size: int = 100) -> Path:
    """Write a file of flows, each with its number as its path and time."""
    return save(path, (_numbered(number, size) for number in range(count)))


def _numbered(number: int, size: int) -> flow.Flow:
    asked = made.request(path=f"/api/items/{number}".encode(), content=b"x" * size)
    return made.flow(asked, made.response(ended=float(1_600_000_000 + number)))


def numbers(akto: Receiver) -> Counter[int]:
    """Return how often each flow of `many` has arrived, by number."""
    return Counter(int(entry["path"].rpartition("/")[2]) for entry in akto.entries)


class Slow:
    """A callback of an ingestion service that blocks once, after some batches, until the test lets it go on.

    Args:
        after: the number of batches that pass before.
    """

    def __init__(self, after: int) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._left = after

    def __call__(self, _: Answer) -> None:
        """Count an answered batch."""
        self._left -= 1
        if not self._left:
            self.reached.set()
            self.go_on.wait(DEADLINE)


# Keeps a replay from reading far ahead of what has arrived.
NARROW = ("--set", "akto_queue_bytes=20000", "--set", "akto_batch_entries=10")
