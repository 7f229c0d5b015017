"""`akto-mirror replay` of recordings from real tools: missing bodies, archives, large files, dead servers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from akto_mirror.ingestion.service import Receiver
from akto_mirror.replay.reader import MOST_LINES
from tests.support.data import DATA
from tests.support.har import har_entry
from tests.support.proxy import DEADLINE
from tests.support.replays import COMMAND, MISSING, NARROW, many, peak_memory, replay

pytestmark = pytest.mark.e2e


def test_missing_bodies_are_shown_and_counted() -> None:
    """Missing bodies are shown in the table, at each flow to be shipped, and in the summary."""
    *table, summary = replay(DATA / "chrome.har", "--dry-run").stdout.splitlines()
    marked = [line for line in table if "body in the recording" in line]
    assert [line.split()[:4] for line in marked] == [["captured", "200", "POST", "https://shop.example/api/photos"]]
    assert marked[0].endswith("  (no request body in the recording)")
    assert summary.endswith(f"; {MISSING}: 1")


def test_a_missing_file_is_counted_and_named(tmp_path: Path) -> None:
    """The flow is still shipped; the exit code is 1 because not everything could be read."""
    shutil.copy(DATA / "field" / "playwright-attach" / "x.har", tmp_path)
    shutil.copy(DATA / "field" / "playwright-attach" / "bbb.json", tmp_path)
    with Receiver() as akto:
        done = replay(tmp_path / "x.har", "--to", akto.url)
        (only,) = akto.entries
    assert (only["requestPayload"], only["responsePayload"]) == ("", '{"ok":1}')
    assert done.stdout == f"replayed 1 flow = 1 shipped + 0 skipped; {MISSING}: 1\n"
    message = "entry 1: the request body cannot be read from aaa.json: it is not beside the HAR file"
    assert (done.returncode, done.stderr) == (1, f"akto-mirror replay: {tmp_path}/x.har: {message}\n")


def test_times_that_cannot_be_are_counted(tmp_path: Path) -> None:
    """The summary says how many times were replaced by the current time."""
    starts = ["2024-05-06T07:08:09Z", "0001-01-01T00:00:00Z", None, "9999-01-01T00:00:00Z"]
    entries = [har_entry(startedDateTime=start) for start in starts]
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": entries}}))
    done = replay(tmp_path / "a.har", "--dry-run")
    assert done.stdout.splitlines()[-1].endswith("; times outside 1970 to now, which became now: 3")


def test_very_many_odd_entries_are_not_very_many_lines(tmp_path: Path) -> None:
    """The first odd entries are named, and the others are counted."""
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": [{}] * 1000}}))
    done = replay(tmp_path / "a.har", "--dry-run")
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (1, MOST_LINES + 1)
    assert lines[-1].endswith(f"{1000 - MOST_LINES} more lines like these are left out")


def test_what_can_be_read_of_a_cut_har_file_is_shipped(tmp_path: Path) -> None:
    """As for a flow file, complete entries are shipped, and a line says where the file breaks off."""
    whole = (DATA / "chrome.har").read_bytes()
    (tmp_path / "a.har").write_bytes(whole[: len(whole) // 2])
    with Receiver() as akto:
        done = replay(tmp_path / "a.har", "--to", akto.url)
        assert len(akto.entries) >= 2
    assert done.returncode == 1
    assert re.search(r"not a whole HAR file: it breaks off or is damaged after entry \d", done.stderr)


def test_a_dead_server_is_reported_while_files_are_read(tmp_path: Path) -> None:
    """A dead server is not reported only at the end: here the rest of the file comes after the line has been seen."""
    os.mkfifo(tmp_path / "pipe")
    content = many(tmp_path / "flows.mitm", 400).read_bytes()
    command = [*COMMAND, str(tmp_path / "pipe"), "--to", "http://127.0.0.1:1", "--set", "akto_shutdown_s=1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr
        killer = threading.Timer(DEADLINE, process.kill)
        killer.start()
        with (tmp_path / "pipe").open("wb") as pipe:
            lines = iter(process.stderr.readline, "")
            seen = ""
            while "cannot deliver" not in seen and process.poll() is None:
                pipe.write(content)
                pipe.flush()
                seen = next(lines)
        killer.cancel()
        process.kill()
    assert "refused" in seen


def test_a_refused_token_ends_the_reading_at_once(tmp_path: Path) -> None:
    """Retrying does not help, so the rest of a long recording is not read."""
    path = many(tmp_path / "flows.mitm", 1000)
    with Receiver(token="right") as akto:
        done = replay(path, "--to", akto.url, "--token", "wrong", *NARROW)
    assert (done.returncode, "given up: answer 401" in done.stderr) == (1, True)
    assert int(done.stdout.split()[1]) < 1000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.timeout(300)
def test_a_long_har_file_takes_no_memory(tmp_path: Path) -> None:
    """Only one entry of a HAR file is in memory at a time, whatever the file's size."""
    path, entry = tmp_path / "a.har", json.dumps(har_entry(response={"content": {"text": '{"a":"é"}' * 3000}}))
    with path.open("w") as file:
        file.write('{"log":{"entries":[' + entry)
        for _ in range(120_000_000 // len(entry)):
            file.write("," + entry)
        file.write("]}}")
    assert path.stat().st_size > 110_000_000
    assert peak_memory(path, 4 * DEADLINE) < path.stat().st_size
