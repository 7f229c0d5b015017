"""The demo runs the real programs and reports the outcomes."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from akto_mirror.demo import demo
from akto_mirror.demo.demo import CASES, Row
from akto_mirror.demo.proxy import DemoError
from tests.support.environment import bare
from tests.support.proxy import ADDON

COMMAND = [sys.executable, "-c", "import sys; from akto_mirror.cli import main; sys.exit(main())", "demo"]
DEADLINE = 110


def expected_rows() -> list[Row]:
    """Return the rows of a successful run."""
    return [Row(case.method, case.path, 200, "", case.outcome, case.outcome == demo.CAPTURED) for case in CASES]


def mirrored() -> int:
    """Return the number of mirrored cases."""
    return sum(case.outcome == demo.CAPTURED for case in CASES)


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Run the demo with its temporary files in the folder."""
    return subprocess.Popen(
        COMMAND,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=bare() | {"TMPDIR": str(folder), "PYTHONUTF8": "1"} | variables,
    )


def leftovers(folder: Path) -> list[str]:
    """List the files in the folder and the processes that name it."""
    found = [str(path) for path in folder.iterdir()]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # The process has ended since.
            found += [text for text in [command.read_text(errors="replace")] if str(folder) in text]
    return found


@pytest.mark.e2e
def test_the_demo_shows_every_verdict_of_a_real_run(tmp_path: Path) -> None:
    """Each request is in the table with its outcome, an entry is shown, the exit code is 0 and nothing stays behind."""
    foreign = {"AKTO_DATA_INGESTION_URL": "http://127.0.0.1:9", "AKTO_API_TOKEN": "not-for-the-demo"}
    process = start(tmp_path, **foreign)
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    for case in CASES:
        outcome = demo.MIRRORED if case.outcome == demo.CAPTURED else case.outcome
        assert [line for line in lines if line[:2] == [case.method, case.path] and " ".join(line).endswith(outcome)]
    assert f"{mirrored()} entries arrived" in out
    assert '"path": "/api/orders"' in out
    assert "not-for-the-demo" not in out
    assert leftovers(tmp_path) == []


@pytest.mark.e2e
@pytest.mark.parametrize(("number", "lines"), [(signal.SIGINT, 1), (signal.SIGTERM, 7)])
def test_an_interrupted_demo_leaves_nothing_behind(number: signal.Signals, lines: int, tmp_path: Path) -> None:
    """Ctrl-C or SIGTERM, while mitmdump starts or serves, ends mitmdump too and removes the files."""
    process = start(tmp_path)
    assert process.stdout
    for _ in range(lines):
        process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (130, "")
    assert leftovers(tmp_path) == []


@pytest.mark.e2e
def test_a_killed_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    """SIGKILL, which cannot be caught, ends mitmdump too, because its standard input closes."""
    process = start(tmp_path)
    assert process.stdout
    for _ in range(7):
        process.stdout.readline()
    assert any("mitmdump" in found for found in leftovers(tmp_path))
    process.kill()
    process.communicate(timeout=DEADLINE)
    end = time.monotonic() + DEADLINE
    while any("mitmdump" in found.partition("\0-")[0] for found in leftovers(tmp_path)):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.e2e
def test_the_demo_needs_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process can only be killed, as on Windows, mitmdump still ends cleanly, and nothing is lost."""
    monkeypatch.delattr(subprocess.Popen, "send_signal")
    monkeypatch.setattr(subprocess.Popen, "kill", lambda process: process.poll())
    assert demo.run(lambda _: None, ADDON)


@pytest.mark.e2e
def test_a_mitmdump_that_does_not_start_is_reported(tmp_path: Path) -> None:
    """When mitmdump ends at once, its last lines say why."""
    broken = tmp_path / "akto_addon.py"
    broken.write_text("raise RuntimeError('broken on purpose')")
    with pytest.raises(DemoError, match=r"(?s)Its last lines:.*broken on purpose"):
        demo.run(lambda _: None, broken)


@pytest.mark.e2e
def test_a_run_without_outcomes_fails() -> None:
    """The demo fails with a script that mirrors nothing: the outcomes come from the run itself."""
    said: list[str] = []
    empty = Path(__file__).with_name("__init__.py")
    assert not demo.run(said.append, empty)
    assert "✗ GET /api/products: none instead of mirrored" in said
    assert f"✗ 0 entries arrived instead of {mirrored()}" in said


def test_a_run_as_expected_is_good() -> None:
    """With the expected outcomes and entries no error is reported."""
    said: list[str] = []
    assert demo.judge(said.append, expected_rows(), mirrored())
    assert said == []


@pytest.mark.parametrize(
    ("path", "outcome", "arrived", "finding"),
    [
        (CASES[0].path, "skipped (status 500)", False, "skipped (status 500) instead of mirrored"),
        (CASES[0].path, demo.CAPTURED, False, "captured, but it did not arrive instead of mirrored"),
        ("/other", demo.CAPTURED, True, "not seen instead of mirrored"),
    ],
)
def test_an_outcome_that_differs_is_named(path: str, outcome: str, arrived: bool, finding: str) -> None:
    """Any wrong outcome of the first exchange fails the demo, and a line names the difference."""
    first, *others = expected_rows()
    said: list[str] = []
    assert not demo.judge(
        said.append, [first._replace(path=path, outcome=outcome, arrived=arrived), *others], mirrored()
    )
    assert said == [f"✗ {CASES[0].method} {CASES[0].path}: {finding}"]


def test_entries_too_many_fail() -> None:
    """An entry that no outcome explains fails the demo."""
    assert not demo.judge(lambda _: None, expected_rows(), mirrored() + 1)


def test_the_table_shows_strange_data_escaped() -> None:
    """A path or a content type cannot forge a line of the table."""
    said: list[str] = []
    demo.show(said.append, [Row("GET", "/\n\x1b[2J", 200, "a\rb", "captured", True)])
    assert said[1].split() == ["GET", "/\\n\\x1b[2J", "200", "a\\rb", "mirrored"]
