"""The supervisor starts, watches and replaces workers, which are small programs here that speak its protocol."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from akto_mirror.workers import messages, supervisor
from akto_mirror.workers.supervisor import Supervisor
from tests.support.proxy import ROOT

# Appends events to a file, one per line; files with certain names change its behaviour.
WORKER = """
import os, select, signal, socket, sys, time
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
# A signal that arrives just before a blocking call does not interrupt it; a byte in this pipe ends the wait then.
woken, waker = os.pipe()
os.set_blocking(waker, False)
signal.set_wakeup_fd(waker)
def wait(*others, seconds=None):
    ready, _, _ = select.select([woken, *others], [], [], seconds)
    if woken in ready:
        os.read(woken, 64)
    return ready
def received():
    while channel not in wait(channel):
        pass
    return receive(channel)
stats = Stats()
stats.capture()
def end(*_):
    send(channel, Reported(Report(stats.snapshot(), 0, 0.0), final=True))
    note("ends")
    os._exit(4 if os.path.exists(folder + "/failing") else 0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGUSR1, lambda *_: send(channel, Gather()))
if os.path.exists(folder + "/deaf"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
while os.path.exists(folder + "/late") or os.path.exists(folder + "/deaf"):
    time.sleep(0.01)
if os.path.exists(folder + "/stuck"):
    note("sticks")
    wait(seconds=60)
if os.path.exists(folder + "/broken") or os.path.exists(f"{{folder}}/broken-{{number}}"):
    sys.exit(3)
send(channel, Listen("a mode", "127.0.0.1", 0))
_, (listening,) = received()
note(f"listens:{{listening.getsockname()[1]}}")
send(channel, Reported(Report(stats.snapshot(), 0, 0.0)))
send(channel, Ready())
note("reported")
while True:
    message, _ = received()
    if isinstance(message, Others):
        note(f"others:{{message.report.counts.captured}}")
    elif isinstance(message, Drain):
        note("drains")
        if os.path.exists(folder + "/slow"):
            signal.signal(signal.SIGTERM, lambda *_: note("hurries"))
        else:
            end()
"""


class Stage:
    """A supervisor with such workers, and their notes."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.missing: list[int] = []
        self._script = folder / "worker.py"
        self._script.write_text(WORKER.format(root=str(ROOT)))
        self.supervisor = Supervisor(size, self._command, self.lines.append)

    def _command(self, number: int, channel: int) -> list[str]:
        """Return a worker's command; for numbers in `missing` the program does not exist, once."""
        if number in self.missing:
            self.missing.remove(number)
            return [str(self.folder / "missing")]
        return [sys.executable, str(self._script), str(number), str(channel), str(self.folder)]

    def noted(self, what: str) -> list[tuple[int, int]]:
        """Return the number and process id of each worker that noted this event."""
        notes = self.folder / "notes"
        rows = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
        return [(int(number), int(pid)) for word, number, pid in rows if word.partition(":")[0] == what]

    def ports(self) -> set[str]:
        """Return the ports on which workers listen."""
        words = [line.split()[0] for line in (self.folder / "notes").read_text().splitlines()]
        return {word.partition(":")[2] for word in words if word.startswith("listens:")}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., tuple[int, Stage]]:
    """Return a function that runs a supervisor with a story, and returns the exit code and the stage."""

    def play(story: Callable[[Stage], Coroutine[Any, Any, None]], size: int = 2) -> tuple[int, Stage]:
        async def both() -> tuple[int, Stage]:
            stage = Stage(tmp_path, size)
            run = asyncio.create_task(stage.supervisor.run())
            await story(stage)
            return await asyncio.wait_for(run, 60), stage

        return asyncio.run(both())

    return play


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that will be met."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


Play = Callable[..., tuple[int, Stage]]

REPLACED = "akto: all workers have been replaced"

ENDED = "akto: captured {0} = shipped 0 + queued {0} + spooled 0 + rejected 0 + dropped 0; skipped 0"


def test_it_ends_all_by_a_signal(play: Play) -> None:
    """All workers have a number and the same socket, get the signal, and are counted in one last line."""

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
    """The exit code is the first worker's, and no other worker is started."""
    (tmp_path / "broken").touch()
    code, stage = play(lambda _: asyncio.sleep(0))
    assert (code, len(stage.noted("starts")), stage.lines) == (3, 1, [])


def test_a_killed_worker_is_started_again(play: Play) -> None:
    """It gets the same number; its entries in memory count as lost, and other workers are not affected."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 2)
        os.kill(dict(stage.noted("starts"))[2], signal.SIGKILL)
        await until(lambda: len(stage.noted("reported")) == 3)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story)
    assert code == 0
    assert sorted(number for number, _ in stage.noted("starts")) == [1, 2, 2]
    assert stage.lines[0] == "akto: worker 2 ended (killed by SIGKILL); restarting it in 0.1 s"
    assert "captured 3 = " in stage.lines[1]
    assert "dropped 1 (in the memory of a process that was killed 1)" in stage.lines[1]


def test_the_waits_before_new_starts_get_longer(play: Play, tmp_path: Path) -> None:
    """The waits grow for a worker that ends each time, while the others go on."""
    (tmp_path / "broken-2").touch()

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.lines) == 3)
        os.kill(os.getpid(), signal.SIGTERM)

    _, stage = play(story)
    assert stage.lines[:3] == [
        f"akto: worker 2 ended (exit code 3); restarting it in {wait} s" for wait in ("0.1", "0.2", "0.4")
    ]
    assert len(stage.noted("ends")) == 1


def test_a_dead_worker_is_counted_once(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead worker is counted before it is started again; other signals are passed on."""
    monkeypatch.setattr(supervisor, "FIRST_WAIT_S", 60.0)

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 2)
        os.kill(dict(stage.noted("starts"))[2], signal.SIGKILL)
        await until(lambda: bool(stage.lines))
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: bool(stage.noted("others")))
        os.kill(os.getpid(), signal.SIGTERM)

    _, stage = play(story)
    assert "others:1 1 " in (stage.folder / "notes").read_text()


def test_a_signal_while_a_worker_is_made_ends_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal arrives before the worker has a process to pass it to."""
    make = messages.pair

    def made() -> tuple[socket.socket, socket.socket]:
        os.kill(os.getpid(), signal.SIGTERM)
        return make()

    monkeypatch.setattr(messages, "pair", made)
    code, stage = play(lambda _: asyncio.sleep(0), 1)
    assert (code, stage.noted("reported")) == (0, [])


def test_workers_are_replaced_one_by_one(play: Play) -> None:
    """A worker drains when its successor is ready on the same socket; all are counted."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("listens")) == 2)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: REPLACED in stage.lines)
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


@pytest.mark.parametrize("is_replaced", [True, False])
def test_the_exit_code_is_that_of_the_last_workers(play: Play, tmp_path: Path, is_replaced: bool) -> None:
    """A worker that fails while it ends counts only at the end of the program."""
    (tmp_path / "failing").touch()

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 1)
        if is_replaced:
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: REPLACED in stage.lines)
            (tmp_path / "failing").unlink()
        os.kill(os.getpid(), signal.SIGTERM)

    code, _ = play(story, 1)
    assert code == (0 if is_replaced else 4)


def test_a_worker_that_is_killed_while_it_is_replaced(play: Play, tmp_path: Path) -> None:
    """It is started again and then replaced, so that no worker runs without a supervisor."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 1)
        (tmp_path / "late").touch()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(stage.noted("starts")) == 2)
        os.kill(stage.noted("starts")[0][1], signal.SIGKILL)
        await until(lambda: len(stage.noted("starts")) == 3)
        (tmp_path / "late").unlink()
        await until(lambda: REPLACED in stage.lines)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story, 1)
    assert code == 0
    assert len(stage.noted("starts")) == 3
    assert sorted(pid for _, pid in stage.noted("ends")) == sorted(pid for _, pid in stage.noted("starts")[1:])


def test_a_worker_that_waits_for_its_start_is_replaced(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is replaced, started again by then or not, and no worker runs without a supervisor."""
    monkeypatch.setattr(supervisor, "FIRST_WAIT_S", 1.0)

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 1)
        os.kill(stage.noted("starts")[0][1], signal.SIGKILL)
        await until(lambda: bool(stage.lines))
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: REPLACED in stage.lines)
        await asyncio.sleep(supervisor.FIRST_WAIT_S)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story, 1)
    assert (code, len(stage.noted("ends"))) == (0, len(stage.noted("starts")) - 1)


def test_a_worker_that_never_gets_ready_is_replaced(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGHUP does not wait longer for such a worker than for one that drains."""
    monkeypatch.setattr(supervisor, "FLUSH_S", 0.2)
    monkeypatch.setattr(supervisor, "END_S", 0.4)

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 1)
        (tmp_path / "stuck").touch()
        os.kill(stage.noted("starts")[0][1], signal.SIGKILL)
        await until(lambda: len(stage.noted("sticks")) == 1)
        (tmp_path / "stuck").unlink()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: REPLACED in stage.lines)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story, 1)
    assert (code, len(stage.noted("starts")), len(stage.noted("ends"))) == (0, 3, 2)


@pytest.mark.parametrize("when", ["before all serve", "while workers are replaced"])
def test_sighup_is_kept_until_it_can_be_followed(play: Play, tmp_path: Path, when: str) -> None:
    """A SIGHUP is never lost, because no worker may have read the sender's change yet."""
    is_later = when == "while workers are replaced"

    async def story(stage: Stage) -> None:
        if is_later:
            await until(lambda: len(stage.noted("reported")) == 1)
            (tmp_path / "late").touch()
            os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(stage.noted("starts")) == 1 + is_later)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        (tmp_path / "late").unlink()
        await until(lambda: stage.lines.count(REPLACED) == 1 + is_later)
        os.kill(os.getpid(), signal.SIGTERM)

    if not is_later:
        (tmp_path / "late").touch()
    code, stage = play(story, 1)
    assert (code, len(stage.noted("starts")), len(stage.noted("ends"))) == (0, 2 + is_later, 2 + is_later)


def test_a_worker_that_does_not_end_is_ended(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets SIGTERM again, and is then killed; its entries in memory count as lost."""
    monkeypatch.setattr(supervisor, "FLUSH_S", 0.2)
    monkeypatch.setattr(supervisor, "END_S", 0.4)
    (tmp_path / "slow").touch()

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 1)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: REPLACED in stage.lines)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story, 1)
    assert code == 0
    assert [len(stage.noted(what)) for what in ("drains", "hurries", "ends")] == [1, 1, 1]
    assert "captured 2 = shipped 0 + queued 1 " in stage.lines[-1]
    assert "dropped 1 (in the memory of a process that was killed 1)" in stage.lines[-1]


def test_a_replaced_worker_has_half_a_minute() -> None:
    """The 30 seconds include draining connections, sending entries and writing the rest to disk."""
    assert supervisor.DRAIN_S < supervisor.FLUSH_S < supervisor.END_S == 30.0


def test_a_successor_that_does_not_start_changes_nothing(play: Play, tmp_path: Path) -> None:
    """The old workers stay, one line says so, and the exit code is theirs."""

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("listens")) == 2)
        (tmp_path / "broken").touch()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: bool(stage.lines))
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story)
    assert code == 0
    assert stage.lines[0] == "akto: worker 1 cannot be replaced; the old ones stay"
    assert stage.noted("drains") == []
    assert stage.lines[-1] == ENDED.format(2)


@pytest.mark.parametrize("handles_sigterm", [True, False])
def test_a_successor_that_hangs_changes_nothing(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handles_sigterm: bool
) -> None:
    """The successor is killed, whether it handles SIGTERM or not, and the old worker stays."""
    monkeypatch.setattr(supervisor, "START_S", 0.2)
    monkeypatch.setattr(supervisor, "END_S", 0.2)

    async def story(stage: Stage) -> None:
        await until(lambda: len(stage.noted("reported")) == 1)
        (tmp_path / "late" if handles_sigterm else tmp_path / "deaf").touch()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: bool(stage.lines))
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story, 1)
    assert code == 0
    assert stage.lines[0] == "akto: worker 1 cannot be replaced; the old ones stay"
    assert stage.noted("drains") == []
    assert stage.noted("starts")[0] in stage.noted("ends")


def test_a_worker_for_which_there_is_no_process_is_tried_again(play: Play) -> None:
    """The other worker serves meanwhile."""

    async def story(stage: Stage) -> None:
        stage.missing.append(2)
        await until(lambda: len(stage.noted("reported")) == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    code, stage = play(story)
    assert code == 0
    assert stage.lines[0].startswith("akto: worker 2 cannot be started: ")
    assert stage.lines[0].endswith("; trying again in 0.1 s")


def test_no_process_for_the_first_worker_ends_the_start(tmp_path: Path) -> None:
    """One line says why."""
    lines: list[str] = []
    code = asyncio.run(Supervisor(2, lambda *_: [str(tmp_path / "missing")], lines.append).run())
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("akto: no worker can be started: ")
