"""`akto-mirror sink` and `check` as processes: signals, closed pipes, descriptors and encodings."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-c", "import sys; from akto_mirror.cli import main; sys.exit(main())"]


ENTRY = {"path": "/a", "method": "GET", "time": "1700000000", "source": "MIRRORING"}


ENTRY |= {"statusCode": "200", "akto_account_id": "1000000"}


DEADLINE = 60


@contextmanager
def sink(*options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `akto-mirror sink` on a free port; yields the process and its URL."""
    process = subprocess.Popen(
        [*COMMAND, "sink", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | variables,
    )
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line
        yield process, line.split(";")[0].removeprefix("listening on ")
    finally:
        process.kill()
        process.communicate()


def post(url: str, entries: Sequence[object], token: str = "") -> int:
    """Post a batch, returning the status code."""
    answer = httpx.post(
        f"{url}/api/ingestData", json={"batchData": entries}, headers={"authorization": token}, trust_env=False
    )
    return answer.status_code


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sink_serves_until_a_signal_and_sums_up(number: signal.Signals) -> None:
    """The sink prints a line when it listens, a line per batch, and a summary with exit code 0 at SIGINT or SIGTERM."""
    with sink() as (process, url):
        assert post(url, [ENTRY, ENTRY]) == 200
        assert post(url, [ENTRY, {}]) == 422
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, err) == (0, "")
    assert out.splitlines() == [
        "200 2 entries",
        "422 1 entry; refused: path is missing (after 1 good entry)",
        "stopped: 3 entries in 1 batch; refused: 1 with 422",
    ]


@pytest.mark.e2e
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_more_connections_than_descriptors_are_one_line() -> None:
    """The sink reports once that it has no descriptors left, and serves again when connections have closed."""
    with sink() as (process, url), ExitStack() as kept:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (32, 32))
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in range(60):
            kept.enter_context(socket.create_connection(address, DEADLINE))
        assert process.stderr
        line = process.stderr.readline()
        assert "no more connections can be accepted (Too many open files); raise the limit" in line
        kept.close()
        assert httpx.get(f"{url}/healthCheck", trust_env=False, timeout=DEADLINE).status_code == 200
        process.terminate()
        _, err = process.communicate(timeout=DEADLINE)
    assert err == ""


@pytest.mark.e2e
@pytest.mark.parametrize("word", ["--quiet", "-q"])
def test_the_sink_keeps_quiet_if_asked_to(word: str) -> None:
    """With --quiet there is no line per batch; the last line says what Akto would lose."""
    with sink(word) as (process, url):
        assert post(url, [ENTRY, ENTRY | {"path": "/healthz"}]) == 200
        process.terminate()
        out, _ = process.communicate(timeout=DEADLINE)
    assert out == ("stopped: 2 entries in 1 batch; refused: none; dropped by Akto: path or query contains /health 1\n")


@pytest.mark.e2e
def test_what_is_sent_cannot_forge_a_line_of_the_sink() -> None:
    """Control characters of a refused entry are shown escaped."""
    with sink() as (process, url):
        assert post(url, [ENTRY | {"source": "\n200 9 entries\x1b[2J\u202e"}]) == 422
        process.terminate()
        out, _ = process.communicate(timeout=DEADLINE)
    assert len(out.splitlines()) == 2
    assert "\\n200 9 entries\\x1b[2J\\u202e" in out


@pytest.mark.e2e
def test_the_sink_goes_on_when_its_lines_are_not_read() -> None:
    """A closed pipe on standard output does not stop the service."""
    with sink() as (process, url):
        assert process.stdout
        process.stdout.close()
        assert [post(url, [ENTRY]) for _ in range(3)] == [200, 200, 200]
        process.terminate()
        assert process.wait(DEADLINE) == 0


@pytest.mark.e2e
def test_the_sink_appends_to_its_file_and_takes_its_token_from_the_environment(tmp_path: Path) -> None:
    """The file of --out gets the entries, and Authorization must hold AKTO_API_TOKEN."""
    out = tmp_path / "entries.ndjson"
    with sink("-o", str(out), AKTO_API_TOKEN="t0ken") as (process, url):
        assert post(url, [ENTRY]) == 401
        assert post(url, [ENTRY], token="t0ken") == 200
        assert [json.loads(line) for line in out.read_text().splitlines()] == [ENTRY]
        process.terminate()
        said, _ = process.communicate(timeout=DEADLINE)
    assert "t0ken" not in said


@pytest.mark.e2e
def test_output_in_ascii_still_distinguishes_good_from_bad() -> None:
    """An encoding without ✓ and ✗ gets escapes, not a traceback."""
    done = subprocess.run(
        [*COMMAND, "check", "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "\\u2713 resolve" in done.stdout
    assert "\\u2717 connect" in done.stdout
