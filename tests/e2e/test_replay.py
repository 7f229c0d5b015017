"""`akto-mirror replay`: real files through the real command line to a real ingestion service."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from akto_mirror.ingestion.service import Receiver
from tests.support import flows as made
from tests.support.data import DATA
from tests.support.environment import bare
from tests.support.proxy import ADDON, DEADLINE, MITMDUMP, confdir
from tests.support.replays import (
    COMMAND,
    MISSING,
    NARROW,
    Slow,
    many,
    numbers,
    peak_memory,
    replay,
    save,
)

pytestmark = pytest.mark.e2e

RECORDINGS = sorted(path.name for path in DATA.iterdir() if path.suffix in (".har", ".mitm"))


def by_mitmdump(path: Path, akto: Receiver, fidelity: str) -> None:
    """Replay a file with mitmdump and the addon."""
    options = (f"akto_url={akto.url}", f"confdir={confdir()}", f"akto_fidelity={fidelity}")
    settings = [word for option in options for word in ("--set", option)]
    command = [str(MITMDUMP), "-q", "-nr", str(path), "-s", str(ADDON), *settings]
    subprocess.run(command, check=True, timeout=DEADLINE, env=bare(), capture_output=True)


@pytest.mark.parametrize("fidelity", ["akto", "worker"])
def test_a_replay_ships_what_the_addon_ships(fidelity: str) -> None:
    """Every entry of a flow file is the one that `mitmdump -nr` with the addon ships, in the same order."""
    with Receiver() as here, Receiver() as there:
        done = replay(DATA / "flows.mitm", "--to", here.url, "--set", f"akto_fidelity={fidelity}")
        by_mitmdump(DATA / "flows.mitm", there, fidelity)
        assert here.entries == there.entries
        assert len(here.entries) == 2
    assert (done.returncode, done.stderr) == (0, "")
    reasons = "content type 1, status 1, no response 1"
    assert done.stdout == f"replayed 6 flows = 2 shipped + 3 skipped ({reasons}) + 1 not HTTP\n"


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        (
            "chrome.har",
            f"9 flows = 5 shipped + 3 skipped (no response 1, content type 1, status 1) + 1 not HTTP; {MISSING}: 1",
        ),
        ("firefox.har", f"7 flows = 5 shipped + 2 skipped (content type 1, no response 1); {MISSING}: 1"),
        ("http-toolkit.har", f"5 flows = 4 shipped + 1 skipped (no response 1); {MISSING}: 1"),
        ("mitmproxy.har", "5 flows = 2 shipped + 3 skipped (content type 1, status 1, no response 1)"),
    ],
)
def test_har_files_of_each_maker_are_shipped(name: str, summary: str) -> None:
    """Every flow that the rules allow arrives, and the summary accounts for the rest."""
    with Receiver() as akto:
        done = replay(DATA / name, "--to", akto.url)
        assert len(akto.entries) == int(summary.split()[3])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"replayed {summary}\n"


def test_several_files_go_in_one_run() -> None:
    """Files of both kinds may be mixed; the summary covers all of them."""
    with Receiver() as akto:
        done = replay(DATA / "flows.mitm", DATA / "chrome.har", "--to", akto.url)
        assert len(akto.entries) == 7
    assert done.stdout.startswith("replayed 15 flows = 7 shipped + ")


def test_a_file_may_be_the_destination(tmp_path: Path) -> None:
    """`--to file:///…` writes the entries to a file, as `akto_url` does."""
    done = replay(DATA / "chrome.har", "--to", f"file://{tmp_path}/entries.ndjson")
    assert done.returncode == 0
    assert len((tmp_path / "entries.ndjson").read_text().splitlines()) == 5


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_dry_run_sends_nothing(name: str) -> None:
    """A dry run prints one line per verdict and a summary; it does not connect to a destination, and needs none."""
    with Receiver() as akto:
        done = replay(DATA / name, "--dry-run", "--to", akto.url)
        assert (akto.entries, akto.store.answers) == ([], {})
    without = replay(DATA / name, "--dry-run")
    assert (done.returncode, done.stderr, without.stdout) == (0, "", done.stdout)
    *table, summary = done.stdout.splitlines()
    assert summary.startswith("dry run, nothing is sent: ")
    captured = [line for line in table if line.startswith("captured ")]
    skipped = [line for line in table if line.startswith("skipped (")]
    assert len(captured) + len(skipped) == len(table)
    assert f" = {len(captured)} to ship + {len(skipped)} skipped" in summary


def test_a_dry_run_shows_why() -> None:
    """The table has verdict, status, method and address of each flow."""
    lines = replay(DATA / "chrome.har", "--dry-run").stdout.splitlines()
    assert re.fullmatch(r"captured +200 GET +https://shop\.example/api/items\?page=1", lines[0])
    assert re.fullmatch(r"skipped \(no response\) +- GET +https://ads\.example/track", lines[4])
    assert re.fullmatch(r"skipped \(content type image/png\) +200 GET +https://shop\.example/logo\.png", lines[6])


def test_a_dry_run_shows_what_sampling_would_leave_out(tmp_path: Path) -> None:
    """A dry run samples by the recorded times, like the real replay."""
    recorded = save(tmp_path / "many.mitm", [made.flow(live=False) for _ in range(9)])
    words = ("--set", "akto_sample=novel", "--set", "akto_sample_per_window=2")
    dry = replay(recorded, "--dry-run", *words).stdout.splitlines()
    assert [line.startswith("captured ") for line in dry[:-1]] == [True] * 3 + [False] * 6
    assert dry[8].startswith("skipped (sampled) ")
    with Receiver() as akto:
        done = replay(recorded, "--to", akto.url, *words)
        assert len(akto.entries) == 3
    assert "9 flows = 3 shipped + 6 skipped (sampled 6)" in done.stdout


def test_a_dry_run_shows_what_is_hidden(tmp_path: Path) -> None:
    """A dry run shows redacted secrets by name and kind, and never the secret itself."""
    secret = made.flow(answer=made.response(content=b'{"password":"hunter2","note":"4111111111111111"}'))
    words = ("--set", "akto_redact_fields=common", "--set", "akto_redact_values=common")
    shown = replay(save(tmp_path / "secret.mitm", [secret]), "--dry-run", *words).stdout
    line = shown.splitlines()[0]
    assert line.startswith("captured ")
    assert line.endswith("  hidden: name password 1, value card 1")
    assert "hunter2" not in shown
    assert "4111111111111111" not in shown


def test_a_dry_run_shows_repairs(tmp_path: Path) -> None:
    """A dry run shows repairs by side and format, and their total."""
    cut = made.flow(answer=made.response(content=b'{"a":"' + b"x" * 99 + b'"}'))
    lines = replay(save(tmp_path / "cut.mitm", [cut]), "--dry-run", "--set", "akto_body_limit=20").stdout.splitlines()
    assert lines[0].startswith("captured, repaired: response json  ")
    assert lines[1].endswith("; payloads repaired: 1")


def test_what_was_recorded_cannot_forge_a_line(tmp_path: Path) -> None:
    """Control characters in a path, a content type or the error for a damaged file are shown escaped."""
    odd = made.flow(made.request(path=b"/\x1b[2J"), made.response(fields=[(b"content-type", b"text/\r\nx")]))
    done = replay(save(tmp_path / "odd.mitm", [odd]), "--dry-run")
    assert len(done.stdout.splitlines()) == 2
    assert "\x1b" not in done.stdout


def test_filter_and_options_are_the_addons() -> None:
    """`--filter` sets akto_filter, and `--set` accepts every option; repetition makes a list."""
    words = ("--filter", "~m POST", "--set", "akto_account_id=7", "--set", "akto_routes=*.example/api/*")
    with Receiver() as akto:
        done = replay(DATA / "chrome.har", "--to", akto.url, *words, "--set", "akto_routes=other.example/*")
        assert [(entry["method"], entry["akto_account_id"]) for entry in akto.entries] == [("POST", "7")] * 3
    assert "(filtered out 2, no response 1, no route matches 2)" in done.stdout


def test_routes_know_the_scheme_of_a_har_file() -> None:
    """A route with a scheme matches by the recorded address."""
    lines = [
        replay(DATA / "chrome.har", "--dry-run", "--set", f"akto_routes={scheme}://shop.example/*").stdout.splitlines()
        for scheme in ("https", "http")
    ]
    assert [line[-1].split(" = ")[1].split(" + ")[0] for line in lines] == ["5 to ship", "0 to ship"]


def test_the_time_may_be_now() -> None:
    """With --rewrite-time an entry has the time of the replay; without it, the recorded time."""
    start = int(time.time())
    with Receiver() as akto:
        replay(DATA / "flows.mitm", "--to", akto.url)
        replay(DATA / "flows.mitm", "--to", akto.url, "--rewrite-time")
        times = [int(entry["time"]) for entry in akto.entries]
    assert times[:2] == [1_700_000_000] * 2
    assert all(start <= stamp <= time.time() for stamp in times[2:])


def test_destination_and_token_may_come_from_the_environment() -> None:
    """The environment variables that Akto's users know replace --to and --token."""
    with Receiver(token="t0ken") as akto:
        done = replay(DATA / "flows.mitm", AKTO_DATA_INGESTION_URL=akto.url, AKTO_API_TOKEN="t0ken")
        assert len(akto.entries) == 2
    assert done.returncode == 0
    assert "t0ken" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: FILE"),
        (["x.mitm"], "give --to URL"),
        (["x.mitm", "--to", "ftp://x"], "akto_url=ftp://x"),
        (["x.mitm", "--to", "http://x", "--filter", "~nothing"], "akto_filter=~nothing"),
        (["x.mitm", "--to", "http://x", "--set", "akto_fidelty=worker"], "did you mean akto_fidelity?"),
        (["x.mitm", "--to", "http://x", "--set", "akto_body_limit=much"], "it must be a whole number"),
        (["x.mitm", "--to", "http://x", "--set", "akto_fidelity=x"], "it must be one of akto, worker"),
        (["x.mitm", "--to", "http://x", "--set", "mode=regular"], "options of this addon only"),
        (["x.mitm", "--to", "http://x", "--filter", "~q", "--set", "akto_filter=~q"], "given more than once"),
        (["x.mitm", "--to", "http://x", "--set", "akto_include_query=perhaps"], "it must be true or false"),
        (["x.mitm", "./x.mitm", "--to", "http://x"], "given twice"),
        (["x.mitm", "--to", "http://x", "--token", "line\nbreak"], "akto_token=(hidden)"),
    ],
)
def test_wrong_usage_exits_with_2(words: list[str], message: str) -> None:
    """The last line names the error in the command line; no file is read before."""
    done = replay(*words)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]


def test_what_can_be_read_of_a_cut_file_is_shipped(tmp_path: Path) -> None:
    """The readable flows of a truncated file are shipped; one line says where it breaks off, and the exit code is 1."""
    whole = many(tmp_path / "whole.mitm", 10).read_bytes()
    cut = tmp_path / "cut.mitm"
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    with Receiver() as akto:
        done = replay(cut, "--to", akto.url)
        assert sorted(numbers(akto)) == list(range(7))
    assert done.returncode == 1
    assert re.fullmatch(r"akto-mirror replay: \S+/cut\.mitm: damaged or cut short after flow 7 \(.*\)\n", done.stderr)
    assert done.stdout == "replayed 7 flows = 7 shipped + 0 skipped\n"


@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 0.99])
def test_a_damaged_file_ends_in_one_line(position: float, tmp_path: Path) -> None:
    """Wherever bytes are overwritten, the flows before them are shipped, and there is no traceback."""
    content = bytearray(many(tmp_path / "flows.mitm", 10).read_bytes())
    start = int(len(content) * position)
    content[start : start + 40] = b"\xff" * 40
    (tmp_path / "flows.mitm").write_bytes(content)
    with Receiver() as akto:
        done = replay(tmp_path / "flows.mitm", "--to", akto.url)
        assert set(numbers(akto)) >= set(range(int(9 * position)))
    assert done.stderr.count("\n") <= 1
    assert done.returncode == (1 if done.stderr else 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "neither a flow file of mitmproxy nor a HAR file"),
        (b'{"log": {"entries": [', "not a whole HAR file"),
        (b'{"some": "json"}', "not a HAR file"),
        (b"[" * 100_000, "neither"),
        (b'{"log":' + b"[" * 100_000, "not a whole HAR file"),
        (b"12345678901:x", "not a flow file of mitmproxy"),
        (b"xyz", "neither a flow file of mitmproxy nor a HAR file"),
    ],
)
def test_what_is_not_a_recording_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    """One line names the file and the problem; other files are still shipped."""
    (tmp_path / "odd").write_bytes(content)
    with Receiver() as akto:
        done = replay(tmp_path / "odd", DATA / "flows.mitm", "--to", akto.url)
        assert len(akto.entries) == 2
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"akto-mirror replay: {tmp_path}/odd: ")
    assert message in done.stderr


@pytest.mark.parametrize(("name", "message"), [("none.mitm", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_opened_is_named(name: str, message: str, tmp_path: Path) -> None:
    """One line names the file, and the exit code is 1."""
    done = replay(tmp_path / name, "--dry-run")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert message in done.stderr


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    """An empty file has no flows, which is not an error."""
    (tmp_path / "empty.mitm").write_bytes(b"")
    done = replay(tmp_path / "empty.mitm", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "dry run, nothing is sent: 0 flows = 0 to ship + 0 skipped\n")


def test_an_odd_entry_does_not_cost_the_others(tmp_path: Path) -> None:
    """An unreadable entry of a HAR file is reported by number and counted, and the exit code is 1."""
    document = json.loads((DATA / "chrome.har").read_text())
    document["log"]["entries"][0]["request"]["url"] = "https://[half"
    document["log"]["entries"][1] = None
    (tmp_path / "odd.har").write_text(json.dumps(document))
    with Receiver() as akto:
        done = replay(tmp_path / "odd.har", "--to", akto.url)
        assert len(akto.entries) == 3
    assert done.returncode == 1
    assert "+ 2 unreadable;" in done.stdout
    assert [line.split(": ")[2] for line in done.stderr.splitlines()] == ["entry 1", "entry 2"]


def test_a_destination_that_is_not_there_fails() -> None:
    """The replay fails within the time of the flush, with exit code 1 and a line that says why and how to continue."""
    done = replay(
        DATA / "flows.mitm", "--to", "http://127.0.0.1:1", "--set", "akto_timeout_s=1", "--set", "akto_shutdown_s=1"
    )
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "--resume" in done.stderr
    assert "0 shipped + 3 skipped" in done.stdout
    assert "2 not shipped (not sent 2)" in done.stdout


def test_a_wrong_token_fails_at_once_and_a_resumed_replay_delivers() -> None:
    """The answer and the remedy are logged at once, because retrying does not help; a correct token resumes."""
    with Receiver(token="right") as akto:
        words = (DATA / "flows.mitm", "--to", akto.url, "--set", "akto_timeout_s=3600")
        refused = replay(*words, "--token", "wrong")
        assert (refused.returncode, akto.entries) == (1, [])
        assert "given up: answer 401" in refused.stderr
        assert "AKTO_API_TOKEN" in refused.stderr
        resumed = replay(*words, "--token", "right", "--resume")
        assert (resumed.returncode, len(akto.entries)) == (0, 2)
    assert resumed.stdout == "replayed 6 flows = 2 shipped + 0 skipped + 4 done before\n"


def test_equal_flows_are_all_shipped(tmp_path: Path) -> None:
    """Entries that are equal byte for byte are each shipped and counted."""
    path = save(tmp_path / "flows.mitm", [made.flow() for _ in range(250)])
    with Receiver() as akto:
        done = replay(path, "--to", akto.url)
        assert len(akto.entries) == 250
    assert (done.returncode, done.stdout) == (0, "replayed 250 flows = 250 shipped + 0 skipped\n")


def test_a_queue_smaller_than_the_file_loses_nothing(tmp_path: Path) -> None:
    """Reading waits for room, even for entries nearly as large as the queue, and lingering does not delay it."""
    path = many(tmp_path / "flows.mitm", 30, size=40_000)
    narrow = ("--set", "akto_queue_bytes=60000", "--set", "akto_linger_ms=3600000")
    with Receiver() as akto:
        done = replay(path, "--to", akto.url, *narrow)
        assert numbers(akto) == Counter(range(30))
    assert done.returncode == 0


def test_an_entry_that_cannot_be_queued_is_reported(tmp_path: Path) -> None:
    """Such an entry is counted with its reason, and the exit code is 1."""
    path = many(tmp_path / "flows.mitm", 2, size=40_000)
    with Receiver() as akto:
        done = replay(path, "--to", akto.url, "--set", "akto_queue_bytes=30000")
        assert akto.entries == []
    assert done.returncode == 1
    assert "2 not shipped (queue full 2)" in done.stdout


def on_terminal(words: Sequence[object], slow: Slow) -> str:
    """Run a replay whose standard error is a terminal, and return the output there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ)
    os.close(theirs)
    written = bytearray()
    reader = threading.Thread(target=_collect, args=(ours, written))
    reader.start()
    assert slow.reached.wait(DEADLINE)
    deadline = time.monotonic() + (DEADLINE if "--quiet" not in words else 1)
    while b"left" not in written and time.monotonic() < deadline:
        time.sleep(0.01)
    slow.go_on.set()
    process.wait(DEADLINE)
    reader.join(DEADLINE)
    os.close(ours)
    return written.decode()


def _collect(terminal: int, written: bytearray) -> None:
    try:
        while data := os.read(terminal, 4096):
            written.extend(data)
    except OSError:
        pass  # On Linux the closing of the terminal raises an error.


def test_a_terminal_gets_a_progress_bar(tmp_path: Path) -> None:
    """The progress bar shows share, count, rate and time left, and disappears at the end."""
    path, slow = many(tmp_path / "flows.mitm", 500), Slow(after=10)
    with Receiver(on_answer=slow) as akto:
        shown = on_terminal([path, "--to", akto.url, *NARROW], slow)
    assert re.search(r"\[#+\.+\] +\d+%  \d+ flows  [\d,]+/s  (\d+:)?\d+:\d\d left", shown)
    assert not shown.rpartition("left")[2].strip(), "the bar is taken away at the end"


def test_no_progress_bar_if_unwanted(tmp_path: Path) -> None:
    """With --quiet nothing is written to a terminal."""
    path, slow = many(tmp_path / "flows.mitm", 100), Slow(after=2)
    with Receiver(on_answer=slow) as akto:
        assert on_terminal([path, "--to", akto.url, *NARROW, "--quiet"], slow) == ""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_a_long_file_takes_no_memory(tmp_path: Path) -> None:
    """A flow file is read flow by flow: entries wait in a bounded queue, and the whole file is never in memory."""
    path = many(tmp_path / "flows.mitm", 500, size=500_000)
    assert path.stat().st_size > 250_000_000
    assert peak_memory(path, DEADLINE) < path.stat().st_size / 2
