"""Fill the spool's disk at random moments, kill and restart on it, and check with an oracle what was lost.

`python -m tests.faults.fulldisk --seconds 600`, or `make fulldisk`. No space is freed until everything has arrived.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from akto_mirror.background_server import Running
from tests.faults import disks
from tests.faults.server import OK, FaultServer, status, wait_for
from tests.support.environment import bare
from tests.support.proxy import ROOT

# Entries of the one batch that may be in flight at a kill, and so may arrive twice.
BATCH = 50

PATIENCE_S = 120.0


@dataclass
class Tally:
    """The events on one kind of disk, and the oracle's result."""

    kind: str
    rounds: int = 0
    kills: int = 0
    looks: int = 0
    stored: int = 0
    delivered: int = 0
    lost: int = 0
    twice: int = 0
    disagreements: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        disagreements = "; ".join(self.disagreements[:3])
        return (
            f"{self.kind}: rounds {self.rounds}, kills {self.kills}, looks from outside {self.looks}, entries on the "
            f"full disk {self.stored}, delivered {self.delivered}, lost {self.lost}, twice {self.twice} "
            f"(kills explain up to {self.kills * BATCH})" + (f"; DISAGREE: {disagreements}" if disagreements else "")
        )

    @property
    def is_good(self) -> bool:
        """Return whether nothing was lost, and all counts agreed."""
        return not self.lost and not self.disagreements and self.twice <= self.kills * BATCH


class Host:
    """A process that captures and delivers, on a disk."""

    def __init__(self, url: str, folder: Path, draw: random.Random, name: str) -> None:
        command = [sys.executable, "-m", "tests.faults.host", url, str(folder), "--name", name]
        command += ["--durability", draw.choice(["spill", "disk"]), "--seed", str(draw.randrange(1000))]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=bare(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.strip().isdigit(), self.log
        self.port = int(line)

    @property
    def log(self) -> str:
        """The log so far."""
        self._log.seek(0)
        return self._log.read().decode()

    def stop_capturing(self) -> None:
        """Stop capturing; delivery continues."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def scrape(self) -> dict[str, float]:
        """Return the metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE)}

    def waiting(self, place: str) -> int:
        """Return the number of waiting entries in a place."""
        return int(self.scrape()[f'akto_mirror_entries_waiting{{place="{place}"}}'])

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        """End the process in an orderly way; returns its counts."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.log
        return out


class Looks(Running):
    """Repeatedly scrapes a process and runs `spool status` beside it; also a context manager."""

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self.failed: list[str] = []
        self.host: Host | None = None
        self._folder = folder
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(look,)) for look in (self._scrape, self._status)]

    def start(self) -> None:
        """Start the loop."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, look: object) -> None:
        assert callable(look)
        while not self._over.wait(0.02):
            look()
            self.count += 1

    def _scrape(self) -> None:
        with contextlib.suppress(OSError):
            if self.host is not None:
                self.host.scrape()

    def _status(self) -> None:
        code, text = spool_status(self._folder)
        if code and "nothing is on disk" not in text:
            self.failed.append(f"spool status: {text}")


def spool_status(folder: Path) -> tuple[int, str]:
    """Run `spool status`; returns its exit code and output."""
    done = subprocess.run(
        [sys.executable, "-m", "akto_mirror", "spool", "--dir", str(folder), "status"],
        cwd=ROOT,
        env=bare(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def status_entries(folder: Path) -> int:
    """Return the number of waiting entries in the command's output."""
    code, text = spool_status(folder)
    if code and "nothing is on disk" in text:
        return 0
    assert code == 0, text
    return sum(int(number.replace(",", "")) for number in re.findall(r"^waiting: ([\d,]+) entr", text, re.MULTILINE))


def stored(folder: Path) -> set[str]:
    """Return the entries in the files, read from a copy on another disk while nothing writes."""
    with tempfile.TemporaryDirectory() as copy:
        for path in folder.glob("spool*.db*"):
            shutil.copy(path, copy)
        paths: set[str] = set()
        for file in Path(copy).glob("spool*.db"):
            with contextlib.closing(sqlite3.connect(file)) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                if not db.execute("SELECT * FROM sqlite_master").fetchall():
                    continue  # Killed before it made its tables.
                rows = db.execute("SELECT payload FROM payloads WHERE id IN (SELECT payload FROM batches)").fetchall()
            paths |= {json.loads(line)["path"] for (payload,) in rows for line in payload.split(b"\n")}
        return paths


@contextmanager
def paused(host: Host) -> Iterator[None]:
    """Stop a process for a moment."""
    os.kill(host.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(host.process.pid, signal.SIGCONT)


def play(disk: Path, draw: random.Random, tally: Tally) -> None:
    """Run one round on a new folder: fill, scrape, kill and restart, and let everything arrive."""
    folder = disk / f"spool{tally.rounds}"
    with FaultServer(status(503)) as akto, Looks(folder) as looks, contextlib.ExitStack() as stack:
        host = looks.host = Host(akto.url, folder, draw, f"{tally.rounds}a")
        stack.callback(lambda: host.process.kill())  # noqa: PLW0108 - whichever it is then
        time.sleep(draw.uniform(0.0, 2.0))  # A random moment, not a synchronisation.
        by_us = draw.random() < 0.3
        if by_us:
            wait_for(lambda: shutil.disk_usage(disk).free < 500_000, PATIENCE_S)
        stack.enter_context(disks.full(disk))
        time.sleep(draw.uniform(0.5, 3.0))
        owed: set[str] = set()
        for life in range(draw.randrange(3)):
            assert host.process.poll() is None, f"it died of {host.process.returncode}: {host.log}"
            host.kill()
            tally.kills += 1
            owed |= stored(folder) - set(akto.taken)
            host = looks.host = Host(akto.url, folder, draw, f"{tally.rounds}{'bcd'[life]}")
            time.sleep(draw.uniform(0.0, 2.0))
        host.stop_capturing()
        owed |= _agree(host, folder, tally) - set(akto.taken)
        assert host.process.poll() is None, f"it died of {host.process.returncode}: {host.log}"
        akto.script = OK
        _arrive(host, folder, tally)
        tally.stored += len(owed)
        tally.lost += len(owed - set(akto.taken))
        host.end()
        taken = akto.taken
        tally.delivered += len(taken)
        tally.twice += sum(taken.values()) - len(taken)
        tally.looks += looks.count
        tally.disagreements += looks.failed
        if stored(folder):
            tally.disagreements.append(f"{len(stored(folder))} entries left in the files")
    shutil.rmtree(folder)
    tally.rounds += 1


def _agree(host: Host, folder: Path, tally: Tally) -> set[str]:
    """Let a process take over what the killed one left, and compare the three counts; returns the stored entries."""
    deadline = time.monotonic() + 30
    while True:
        with paused(host):
            held = stored(folder)
        counted, shown = host.waiting("spooled"), status_entries(folder)
        # Entries in flight are on disk as well.
        in_flight = host.waiting("in_flight")
        if counted <= len(held) <= counted + in_flight and shown == len(held):
            return held
        if time.monotonic() > deadline:
            said = f"files {len(held)}, status {shown}, stats {counted} and {in_flight} in flight"
            tally.disagreements.append(f"full: {said}")
            return held


def _arrive(host: Host, folder: Path, tally: Tally) -> None:
    """Wait until no count shows waiting entries."""
    try:
        wait_for(lambda: not any(map(host.waiting, ("queued", "in_flight", "spooled"))), PATIENCE_S)
        wait_for(lambda: not status_entries(folder), 30)
    except AssertionError:
        said = f"status {status_entries(folder)}, stats {host.waiting('spooled')}; log {host.log[-2000:]}"
        tally.disagreements.append(f"not drained: {said}")


def run(kind: str, seconds: float, seed: int) -> Tally:
    """Run rounds on one kind of disk for this long, but at least one.

    Raises:
        NotPermittedError: the disk cannot be mounted here.
    """
    draw, tally = random.Random(seed), Tally(kind)
    end = time.monotonic() + seconds
    with disks.mounted(kind) as disk:
        while not tally.rounds or time.monotonic() < end:
            play(disk, draw, tally)
    return tally


def main() -> int:
    """Run from the command line; return 0 if nothing was lost, or if mounting is not permitted here."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fulldisk", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="for each kind")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kind", choices=disks.KINDS, action="append")
    args = parser.parse_args()
    sys.stdout.write(f"seed {args.seed}\n")
    good = True
    for kind in args.kind or disks.KINDS:
        try:
            tally = run(kind, args.seconds, args.seed)
        except disks.NotPermittedError as error:
            sys.stdout.write(f"{kind}: skipped, {error}\n")
            continue
        sys.stdout.write(f"{tally}\n")
        sys.stdout.flush()
        good = good and tally.is_good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
