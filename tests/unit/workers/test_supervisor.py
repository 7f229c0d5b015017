"""The parent starts, watches and replaces workers; here they are small programs that speak its language."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from akto_mirror.workers import supervisor
from akto_mirror.workers.supervisor import Supervisor
from tests.support.proxy import ROOT

# Notes what happens in a file, a line each, and does what the first line of a second file says.
WORKER = """
import os, signal, socket, sys
sys.path.insert(0, {root!r})
from akto_mirror.accounts import Stats
from akto_mirror.snapshots import Report
from akto_mirror.workers.messages import *
from akto_mirror.workers.messages import receive, send
number, channel, folder = int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), sys.argv[3]
def note(what):
    with open(folder + "/notes", "a") as file:
        file.write(f"{{what}} {{number}} {{os.getpid()}}\\n")
note("starts")
stats = Stats()
stats.capture()
def end(*_):
    send(channel, Reported(Report(stats.snapshot(), 0, 0.0), final=True))
    note("ends")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
if os.path.exists(folder + "/broken"):
    sys.exit(3)
send(channel, Listen("a mode", "127.0.0.1", 0))
_, (listening,) = receive(channel)
note(f"listens:{{listening.getsockname()[1]}}")
send(channel, Reported(Report(stats.snapshot(), 0, 0.0)))
send(channel, Ready())
note("reported")
while True:
    message, _ = receive(channel)
    if isinstance(message, Drain):
        note("drains")
        if os.path.exists(folder + "/slow"):
            signal.signal(signal.SIGTERM, lambda *_: note("hurries"))
        else:
            end()
"""


class Stage:
    """A supervisor of such workers, and what they noted."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.lines: list[str] = []
        script = folder / "worker.py"
        script.write_text(WORKER.format(root=str(ROOT)))
        self.supervisor = Supervisor(
            size,
            lambda number, channel: [sys.executable, str(script), str(number), str(channel), str(folder)],
            self.lines.append,
        )

    def noted(self, what: str) -> list[tuple[int, int]]:
        """Return number and process id of all workers that noted something."""
        notes = self.folder / "notes"
        rows = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
        return [(int(number), int(pid)) for word, number, pid in rows if word.partition(":")[0] == what]

    def ports(self) -> set[str]:
        """Return the ports at which workers listen."""
        words = [line.split()[0] for line in (self.folder / "notes").read_text().splitlines()]
        return {word.partition(":")[2] for word in words if word.startswith("listens:")}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., tuple[int, Stage]]:
    """Runs a supervisor beside a story, and returns its exit code and the stage."""

    def play(story: Callable[[Stage], Coroutine[Any, Any, None]], size: int = 2) -> tuple[int, Stage]:
        async def both() -> tuple[int, Stage]:
            stage = Stage(tmp_path, size)
            run = asyncio.create_task(stage.supervisor.run())
            await story(stage)
            return await asyncio.wait_for(run, 60), stage

        return asyncio.run(both())

    return play


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def nothing(_: Stage) -> None:
    """Leave the supervisor alone."""


Play = Callable[..., tuple[int, Stage]]

ENDED = "akto: captured {0} = shipped 0 + queued {0} + spooled 0 + rejected 0 + dropped 0; skipped 0"


def test_it_ends_all_by_a_signal(play: Play) -> None:
    """Each worker has a number and the same sockets, is sent the signal, and is in the one last line."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("listens")) == 3)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story, 3)
    assert code == 0
    assert sorted(number for number, _ in stage.noted("starts")) == [1, 2, 3]
    assert len(stage.noted("ends")) == 3
    assert len(stage.ports()) == 1
    assert stage.lines == [ENDED.format(3)]


def test_a_mistake_is_found_by_one_worker(play: Play, tmp_path: Path) -> None:
    """The exit code is the worker's, and no other one is started."""
    (tmp_path / "broken").touch()
    code, stage = play(nothing)
    assert (code, len(stage.noted("starts")), stage.lines) == (3, 1, [])


def test_a_killed_worker_is_started_again(play: Play) -> None:
    """With the same number; what it held counts as lost, and the others do not notice."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 2)
        os.kill(dict(stage.noted("starts"))[2], signal.SIGKILL)
        await until(lambda: len(stage.noted("reported")) == 3)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story)
    assert code == 0
    assert sorted(number for number, _ in stage.noted("starts")) == [1, 2, 2]
    assert stage.lines[0] == "akto: worker 2 ended (killed by SIGKILL); it is started again in 0.1 s"
    assert "captured 3 = " in stage.lines[1]
    assert "dropped 1 (in the memory of a worker that was killed 1)" in stage.lines[1]


def test_workers_are_replaced_one_by_one(play: Play) -> None:
    """Each once its successor is ready, at the same sockets; all are counted."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("listens")) == 2)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "akto: all workers are replaced" in stage.lines)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story)
    assert code == 0
    lines = [line for line in (stage.folder / "notes").open() if not line.startswith("reported")]
    events = [(line.split()[0].partition(":")[0], line.split()[1]) for line in lines]
    assert events[4:12] == [
        *(("starts", "1"), ("listens", "1"), ("drains", "1"), ("ends", "1")),
        *(("starts", "2"), ("listens", "2"), ("drains", "2"), ("ends", "2")),
    ]
    assert len(stage.ports()) == 1
    assert stage.lines[-1] == ENDED.format(4)


def test_a_worker_that_does_not_end_is_ended(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First it is asked to hurry, then it is killed; what it held counts as lost."""
    monkeypatch.setattr(supervisor, "FLUSH_S", 0.2)
    monkeypatch.setattr(supervisor, "END_S", 0.4)
    (tmp_path / "slow").touch()

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 1)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "akto: all workers are replaced" in stage.lines)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story, 1)
    assert code == 0
    assert [len(stage.noted(what)) for what in ("drains", "hurries", "ends")] == [1, 1, 1]
    assert "captured 2 = shipped 0 + queued 1 " in stage.lines[-1]
    assert "dropped 1 (in the memory of a worker that was killed 1)" in stage.lines[-1]


def test_a_replaced_worker_has_half_a_minute() -> None:
    """All of it: for its connections, for what it has to send, and for what goes to disk."""
    assert supervisor.DRAIN_S < supervisor.FLUSH_S < supervisor.END_S == 30.0


def test_a_successor_that_does_not_start_changes_nothing(play: Play, tmp_path: Path) -> None:
    """The old workers stay, and a line says so."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("listens")) == 2)
        (tmp_path / "broken").touch()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: bool(stage.lines))
        os.kill(os.getpid(), signal.SIGTERM)

    _, stage = play(story)
    assert stage.lines[0] == "akto: worker 1 cannot be replaced; the old ones stay"
    assert stage.noted("drains") == []
    assert stage.lines[-1] == ENDED.format(2)
