"""`akto-mirror replay --resume`: shipped entries are not shipped again, as far as can be known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from akto_mirror.ingestion.service import Receiver
from akto_mirror.replay.checkpoint import DIGEST
from tests.support.data import DATA
from tests.support.har import har_entry
from tests.support.proxy import DEADLINE
from tests.support.replays import COMMAND, NARROW, Slow, check_sum, many, numbers, replay

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_replay_can_be_resumed(number: signal.Signals, tmp_path: Path) -> None:
    """After Ctrl-C what was read is sent, the summary adds up and the exit code is 130; --resume ships the rest."""
    path, slow = many(tmp_path / "flows.mitm", 1000), Slow(after=5)
    with Receiver(on_answer=slow) as akto:
        words = [str(path), "--to", akto.url, *NARROW]
        process = subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=os.environ
        )
        assert slow.reached.wait(DEADLINE)
        process.send_signal(number)
        slow.go_on.set()
        out, err = process.communicate(timeout=DEADLINE)
        check_sum(out)
        before = len(akto.entries)
        assert (process.returncode, "Traceback" in err) == (130, False)
        assert "--resume" in err
        assert 5 <= before < 1000
        done = replay(*words, "--resume")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{before} done before" in done.stdout
        assert numbers(akto) == Counter(range(1000))


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    """A second interrupt cuts the flush short; what has arrived is still recorded."""
    path, slow = many(tmp_path / "flows.mitm", 1000), Slow(after=5)
    patient = ("--set", "akto_timeout_s=3600", "--set", "akto_shutdown_s=3600")
    with Receiver(on_answer=slow) as akto:
        words = [str(path), "--to", akto.url, *NARROW]
        process = subprocess.Popen([*COMMAND, *words, *patient], stderr=subprocess.PIPE, text=True, env=os.environ)
        assert process.stderr
        assert slow.reached.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        assert "interrupted" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        process.stderr.close()
        slow.go_on.set()
        assert replay(*words, "--resume").returncode == 0
        assert set(numbers(akto)) == set(range(1000))


def test_a_killed_replay_can_be_resumed(tmp_path: Path) -> None:
    """After `kill -9` nothing is missing in the end, though some entries may arrive twice."""
    path, slow = many(tmp_path / "flows.mitm", 1000), Slow(after=5)
    with Receiver(on_answer=slow) as akto:
        words = [str(path), "--to", akto.url, *NARROW]
        process = subprocess.Popen([*COMMAND, *words], env=os.environ)
        assert slow.reached.wait(DEADLINE)
        process.kill()
        process.wait()
        slow.go_on.set()
        assert replay(*words, "--resume").returncode == 0
        assert set(numbers(akto)) == set(range(1000))


def test_a_whole_replay_is_not_repeated_by_resume(tmp_path: Path) -> None:
    """After a complete replay --resume ships nothing, so that it can be used in a loop."""
    path = many(tmp_path / "flows.mitm", 20)
    with Receiver() as akto:
        replay(path, "--to", akto.url)
        done = replay(path, "--to", akto.url, "--resume")
        assert (done.returncode, len(akto.entries)) == (0, 20)
    assert done.stdout == "replayed 20 flows = 0 shipped + 0 skipped + 20 done before\n"


@pytest.mark.parametrize("change", ["file", "option", "destination", "no --resume"])
def test_another_replay_starts_over(change: str, tmp_path: Path) -> None:
    """Another file, other options, another destination, or no --resume: everything is shipped."""
    path = many(tmp_path / "flows.mitm", 20)
    with Receiver() as first, Receiver() as second:
        replay(path, "--to", first.url)
        if change == "file":
            many(path, 20, size=50)
        words: list[Any] = [path, "--to", second.url if change == "destination" else first.url]
        words += [] if change == "no --resume" else ["--resume"]
        words += ["--set", "akto_fidelity=worker"] if change == "option" else []
        assert replay(*words).returncode == 0
        assert len(first.entries) + len(second.entries) == 40


def test_checkpoints_hold_no_traffic_and_are_private(tmp_path: Path) -> None:
    """The state folder has file, destination, numbers and digests, but no token; other users cannot read it."""
    state = tmp_path / "state"
    with Receiver(token="t0ken") as akto:
        done = replay(DATA / "flows.mitm", "--to", akto.url, "--token", "t0ken", XDG_STATE_HOME=str(state))
    assert done.returncode == 0
    file, digests = sorted((state / "akto-mirror" / "replay").iterdir())
    assert json.loads(file.read_text()).keys() == {"file", "size", "mtime_ns", "options", "seen", "missing", "digests"}
    assert digests.stat().st_size == 2 * DIGEST
    assert [path.stat().st_mode & 0o077 for path in (state / "akto-mirror", file.parent)] == [0, 0]
    assert "t0ken" not in file.read_text()


def test_without_a_state_folder_it_ships_all_the_same(tmp_path: Path) -> None:
    """If no state can be kept, one line says that the replay cannot be resumed."""
    (tmp_path / "file").touch()
    with Receiver() as akto:
        done = replay(DATA / "flows.mitm", "--to", akto.url, XDG_STATE_HOME=str(tmp_path / "file"))
        assert (done.returncode, len(akto.entries)) == (0, 2)
    assert done.stderr.count("\n") == 1
    assert "this replay cannot be resumed" in done.stderr


def har(path: Path, orders: Iterable[int], **more: Any) -> Path:
    """Write a HAR file of flows, each with its number in the path."""
    entries = [har_entry({"url": f"https://api.example.com/api/items/{number}"}, **more) for number in orders]
    path.write_text(json.dumps({"log": {"entries": entries}}))
    return path


@pytest.mark.parametrize("kind", ["flows", "HAR"])
def test_a_file_that_has_grown_ships_what_is_new(kind: str, tmp_path: Path) -> None:
    """If a recording has grown, or is exported again with more in it, the rest is shipped, and one line says so."""
    path = tmp_path / "a"
    with Receiver() as akto:
        for count in (20, 35):
            many(path, count) if kind == "flows" else har(path, range(count))
            done = replay(path, "--to", akto.url, "--resume")
        assert numbers(akto) == Counter(range(35))
    assert done.returncode == 0
    assert done.stdout.startswith("replayed 35 flows = 15 shipped + 0 skipped + 20 done before")
    message = "it has grown since the earlier replay: entries shipped then are not shipped again"
    assert done.stderr == f"akto-mirror replay: {path}: {message}\n"


def test_a_file_that_has_changed_ships_what_is_new(tmp_path: Path) -> None:
    """If flows were deleted, reordered or copied, each is shipped as often as it occurs, and no more."""
    path = tmp_path / "a.har"
    with Receiver() as akto:
        replay(har(path, [0, 1, 2, 2, 3, 4]), "--to", akto.url)
        done = replay(har(path, [9, 4, 2, 2, 2, 0]), "--to", akto.url, "--resume")
        assert numbers(akto) == Counter({0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 9: 1})
    assert "it has changed since the earlier replay" in done.stderr
    assert "6 flows = 2 shipped + 0 skipped + 4 done before" in done.stdout


@pytest.mark.parametrize("words", [["--rewrite-time"], []])
def test_the_time_of_the_replay_is_not_the_flows(words: list[str], tmp_path: Path) -> None:
    """Entries are recognised even if their time is not the recorded one, or the recording has no times."""
    path = tmp_path / "a.har"
    with Receiver() as akto:
        replay(har(path, range(5), startedDateTime=None), "--to", akto.url, *words)
        done = replay(har(path, range(8), startedDateTime=None), "--to", akto.url, "--resume", *words)
        assert numbers(akto) == Counter(range(8))
    assert "8 flows = 3 shipped + 0 skipped + 5 done before" in done.stdout


def test_what_was_interrupted_and_then_grew_is_completed(tmp_path: Path) -> None:
    """Entries that arrived before the interrupt are recognised, and no others."""
    path, slow = many(tmp_path / "flows.mitm", 1000), Slow(after=5)
    with Receiver(on_answer=slow) as akto:
        words = [str(path), "--to", akto.url, *NARROW]
        process = subprocess.Popen([*COMMAND, *words], env=os.environ, stderr=subprocess.DEVNULL)
        assert slow.reached.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        slow.go_on.set()
        assert process.wait(DEADLINE) == 130
        many(path, 1100)
        assert replay(*words, "--resume").returncode == 0
        assert numbers(akto) == Counter(range(1100))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("option", "the options differ from those of the earlier replay: everything is shipped"),
        ("destination", "no earlier replay of it to this destination is known: everything is shipped"),
    ],
)
def test_why_all_is_shipped_again_is_said(change: str, message: str, tmp_path: Path) -> None:
    """`--resume` says why it ships everything again."""
    path = many(tmp_path / "flows.mitm", 3)
    with Receiver() as first, Receiver() as second:
        replay(path, "--to", first.url)
        words: list[Any] = [path, "--resume", "--to", second.url if change == "destination" else first.url]
        done = replay(*words, *(["--set", "akto_account_id=7"] if change == "option" else []))
        assert len(first.entries) + len(second.entries) == 6
    assert (done.returncode, done.stderr) == (0, f"akto-mirror replay: {path}: {message}\n")
