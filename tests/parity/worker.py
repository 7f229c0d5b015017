"""The Worker itself, run in workerd by the rig, and its result for each case."""

from __future__ import annotations

import queue
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.parity import goldens
from tests.parity.cases import Case
from tests.parity.goldens import Fact
from tests.parity.peers import SENTINEL, Collector, Entry, exchange, ingestion, sentinel, target, wait_until

STARTED = "logTraffic running"
SKIPPED = "Skipped log"
FINISHED = (SKIPPED, "Log sent", "Failed to send", "Log error")
START_S = 60.0
CASE_S = 20.0
ATTEMPTS = 3

# Added to a case's number when it is sent again, so that its sentinel has a unique path.
AGAIN = 1_000_000


@dataclass
class Console:
    """The lines that the Worker logged; they show when it has finished a request."""

    lines: list[str] = field(default_factory=list)
    _news: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def follow(self, stream: Iterator[str]) -> None:
        """Collect the lines of `stream` until it ends."""
        for line in stream:
            self._news.put(line)

    def since(self, start: int) -> list[str]:
        """Return the lines from index `start` on."""
        while not self._news.empty():
            self.lines.append(self._news.get())
        return self.lines[start:]

    def settled(self, start: int, last: str) -> bool:
        """Return whether each request up to the one for the path `last` has an outcome."""
        lines = self.since(start)
        seen = [index for index, line in enumerate(lines) if line.rstrip().endswith(f"/{last}")]
        if not seen or count(lines[seen[0] :], STARTED) == 0:
            return False
        return count(lines, STARTED) == count(lines, *FINISHED)


def count(lines: Sequence[str], *words: str) -> int:
    """Return how many lines contain one of `words`."""
    return sum(any(word in line for word in words) for line in lines)


@dataclass(frozen=True)
class Worker:
    """A running Worker: its port and its log."""

    port: int
    console: Console
    collector: Collector

    def fact(self, number: int, case: Case) -> Fact:
        """Send a case and return its fact.

        Raises:
            TimeoutError: If the Worker does not come to an end with the case.
        """
        start, last = len(self.console.since(0)), f"{SENTINEL}{number}"
        before = len(self.collector.of(case.name))
        exchange(self.port, case.request)
        exchange(self.port, sentinel(number))
        settled = wait_until(lambda: self.console.settled(start, last), CASE_S)
        if not settled or not self.collector.wait_for([last]):
            raise TimeoutError(f"no outcome of {case.name}: {self.console.since(start)}")
        return self._outcome(self.collector.of(case.name)[before:], case.name, self.console.since(start))

    def patiently(self, number: int, case: Case) -> Fact:
        """Send a case, and again if the Worker does not finish it: workerd may cancel work after the response.

        Entries of an earlier attempt do not count in the next.

        Raises:
            TimeoutError: If the Worker does not finish the case in the last attempt either.
        """
        for attempt in range(ATTEMPTS - 1):
            with suppress(TimeoutError):
                return self.fact(number + attempt * AGAIN, case)
        return self.fact(number + (ATTEMPTS - 1) * AGAIN, case)

    @staticmethod
    def _outcome(entries: Sequence[Entry], name: str, lines: Sequence[str]) -> Fact:
        if len(entries) > 1:
            raise ValueError(f"{len(entries)} entries of {name}")
        if entries:
            return goldens.shipped(entries[0])
        if count(lines, STARTED) < 2:
            return {"outcome": goldens.REFUSED}
        return {"outcome": goldens.SKIPPED if count(lines, SKIPPED) else goldens.FAILED}


def free_port() -> int:
    """Return a port that was free a moment ago, for a program that cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(rig: Path, modules: Path, upstream: int, collector: Collector, ingest: int) -> Iterator[Worker]:
    """Run the rig between the target on port `upstream` and the ingestion service on port `ingest`.

    Raises:
        RuntimeError: If the rig does not serve in time.
    """
    port, console = free_port(), Console()
    options = ["--modules", modules, "--port", port, "--upstream", f"127.0.0.1:{upstream}"]
    command = ["node", rig, *options, "--ingest", f"http://127.0.0.1:{ingest}"]
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    threading.Thread(target=console.follow, args=(process.stdout,), daemon=True).start()
    try:
        if not wait_until(lambda: bool(count(console.since(0), "ready ")) or process.poll() is not None, START_S):
            raise RuntimeError("the rig does not start")
        if process.poll() is not None:
            raise RuntimeError(f"the rig ended: {''.join(console.since(0))}")
        yield Worker(port, console, collector)
    finally:
        process.terminate()
        process.wait(30)


def record(cases: Sequence[Case], rig: Path, modules: Path) -> dict[str, Fact]:
    """Return the Worker's fact for each case."""
    collector = Collector()
    answers = {case.name: case.response for case in cases}
    with (
        target(answers) as upstream,
        ingestion(collector) as ingest,
        running(rig, modules, upstream, collector, ingest) as worker,
    ):
        return {case.name: worker.patiently(number, case) for number, case in enumerate(cases)}
