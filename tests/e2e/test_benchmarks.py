"""The benchmarks work; the measured figures are not tested."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import instructions, redaction, sizing, steady, table, throughput
from benchmarks.__main__ import _parse, between_marks
from benchmarks.load import Load, Timing, percentile, summary
from benchmarks.memory import Run
from benchmarks.proxies import LISTENING, PLAIN, Mode
from benchmarks.workerd import Rig
from tests.support.proxy import ROOT


def test_percentile_is_by_nearest_rank() -> None:
    """A percentile is one of the values: the smallest that enough others do not exceed."""
    values = [30.0, 10.0, 20.0, 40.0]
    assert [percentile(values, share) for share in (0.25, 0.5, 0.51, 0.99, 1)] == [10, 20, 30, 40, 40]


def test_summary_counts_over_the_whole_span() -> None:
    """Requests per second are counted from the first start to the last end; latencies are in milliseconds."""
    load = summary([Timing(100.0, 0.5), Timing(100.25, 1.75)])
    assert (load.per_s, load.p50_ms, load.p99_ms) == (1, 500, 1750)


def test_table_is_markdown() -> None:
    """Columns of figures are right-aligned."""
    assert table.render(["", "ms"], [["plain", "1"]]) == "|  | ms |\n| --- | ---: |\n| plain | 1 |"


def test_tables_go_between_the_marks() -> None:
    """Sections of the same title are replaced, new ones are appended, the rest stays; missing marks are an error."""
    document = "a\n<!-- bench -->\n### One\n\nold\n\n### Two\n\ntwo\n<!-- /bench -->\nb\n"
    sections = "### One\n\nnew\n\n### Two\n\ntwo\n\n### Three\n\nthree\n"
    expected = f"a\n<!-- bench -->\n{sections}<!-- /bench -->\nb\n"
    assert between_marks(document, "### One\n\nnew\n\n### Three\n\nthree\n") == expected
    assert between_marks(expected, sections) == expected
    with pytest.raises(ValueError, match="the file has no <!-- bench -->"):
        between_marks("nothing here", "new\n")


@pytest.mark.parametrize("text", ["no marks", None], ids=["no marks", "no file"])
def test_a_file_for_tables_is_checked_first(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot take the tables ends the start with one line."""
    if text is not None:
        (tmp_path / "page.md").write_text(text)
    with pytest.raises(SystemExit):
        _parse(["delivery", "--into", str(tmp_path / "page.md")])
    assert capsys.readouterr().err.endswith("; name a file that has both marks\n")


def test_redaction_is_compared_with_what_it_replaced(tmp_path: Path) -> None:
    """The old package, from the repository's history, is measured as well as the current one."""
    if redaction.replaced(tmp_path):
        pytest.skip("a shallow clone, or a Python on which the old package hides nothing")
    assert {name.split()[1] for name in redaction.measured("then", tmp_path)} == {"names"}
    assert {name.split()[1] for name in redaction.measured("now", ROOT)} == {"names", "both"}


def test_redaction_is_not_compared_without_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report says why nothing is compared, and what to do."""
    monkeypatch.setattr(redaction, "OLDEST", (3, 11))
    assert "git fetch --unshallow" in redaction.replaced(tmp_path, "0000000")
    monkeypatch.setenv("PATH", "")
    assert redaction.report(1) == "### Redaction\n\nNot compared: git is not installed."
    assert capsys.readouterr().err == "redaction is not compared: git is not installed\n"


@pytest.mark.parametrize(
    "option", ["--rounds", "--requests", "--counted", "--megabytes", "--streams", "--seconds", "--turns", "--burst"]
)
@pytest.mark.parametrize("value", ["0", "-1", "x", ""])
def test_nothing_is_measured_of_nothing(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number that leaves nothing to measure is refused at once, by an error that names the option."""
    with pytest.raises(SystemExit):
        _parse([f"{option}={value}"])
    assert f"argument {option}: write a whole number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize(("values", "shown"), [([2.0], "2.00"), ([1.0, 2.0, 3.0, 4.0, 5.0], "3.00 (2.00–4.00)")])  # noqa: RUF001 - a range
def test_spread_shows_median_and_quartiles(values: list[float], shown: str) -> None:
    """For a single value only that value is shown."""
    assert table.spread(values, 2) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(4, "2.5"), (5, "3.0"), (10, "5.5 (1.0–10.0)"), (24, "12.5 (7.0–18.0)"), (100, "50.5 (40.0–61.0)")],  # noqa: RUF001 - ranges
)
def test_the_confidence_interval_of_a_median(count: int, shown: str) -> None:
    """The bounds are values chosen by rank with the sign test; few values have no interval."""
    assert table.confident([float(number) for number in range(count, 0, -1)], 1) == shown


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tools", ["all", "python only"])
def test_throughput_prints_a_valid_table(tools: str, tmp_path: Path) -> None:
    """The table shows each mode, in which every entry has arrived, with and without h2load and nginx."""
    out = tmp_path / "table.md"
    printed = _run("throughput", "--rounds", "1", "--requests", "250", "--out", str(out), tools=tools)
    assert out.read_text() == printed
    rows = _rows(printed)
    silent = ["plain mitmdump", "an addon of six empty hooks"]
    mirrors = ["with the addon", "with the addon, redacting", "`akto-mirror run`", "`akto-mirror run`, redacting"]
    assert list(rows) == [*silent, *mirrors, "one POST a flow"]
    assert [row[-1] for row in rows.values()] == ["none, as it should be"] * 2 + ["all 250"] * 5
    assert all(math.isfinite(float(row[4])) for row in rows.values())


def test_ratios_are_of_processes_side_by_side() -> None:
    """There is one ratio per round: all runs of a process, divided by those of plain mitmdump in the same round."""

    def run(mode: Mode, cpu_ms: float) -> throughput.Run:
        return throughput.Run(mode, 1, cpu_ms, Load(1, 1, 1), 1, 1, 1)

    rounds = [[{PLAIN: run(PLAIN, plain), LISTENING: run(LISTENING, own)} for plain, own in each] for each in ROUNDS]
    assert throughput.ratios(rounds, LISTENING, throughput.cpu) == [2.0, 0.5]


ROUNDS = [[(1.0, 3.0), (2.0, 3.0)], [(4.0, 2.0), (4.0, 2.0)]]


def test_growth_is_from_after_the_warm_up_to_the_end() -> None:
    """Medians keep a single disturbed part from deciding the result."""
    values = [9.0, 9.0, 2.0, 2.0, 7.0, 9.0, 9.0, 9.0, 9.0, 2.0, 9.0, 2.1]
    assert steady.growth(values) == pytest.approx(0.05)
    assert "not within" in steady.verdict([steady.Part(1.0, 1.0, value) for value in range(100, 112)])
    assert "not within" in steady.verdict([steady.Part(1.0, value / 100, 80.0) for value in range(100, 112)])
    assert ", resident memory +0.0%; within 5%." in steady.verdict([steady.Part(1.0, 1.0, 80.0)] * 12)


@pytest.mark.parametrize("missing", ["node", "the script", "Miniflare", ""])
def test_the_worker_is_left_out_where_it_cannot_run(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report names what is missing."""
    monkeypatch.setattr(shutil, "which", lambda _: None if missing == "node" else "/bin/node")
    script, module = tmp_path / "rig.mjs", tmp_path / "node_modules" / "miniflare"
    if missing != "the script":
        script.touch()
    if missing != "Miniflare":
        module.mkdir(parents=True)
    message = {
        "node": "node is not installed",
        "the script": f"there is no {script}",
        "Miniflare": f"there is no {module}; npm install --prefix {tmp_path} miniflare",
    }
    assert Rig(script, tmp_path).missing() == message.get(missing, "")


def test_instructions_are_counted_with_valgrind_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without valgrind the section says so."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "valgrind is not installed" in instructions.report(1)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_instructions_are_fewer_under_run() -> None:
    """`akto-mirror run` takes less than half of plain mitmdump's instructions, however busy the machine is."""
    rows = _rows(_run("instructions", "--counted", "100"))
    assert float(rows["`akto-mirror run`"][2]) < 0.5


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sizing_prints_a_valid_table() -> None:
    """Each case and each kind of idle connection has its figures."""
    printed = _run("sizing", "--requests", "200")
    rows = _rows(printed)
    cases, kinds = ("700 bytes", "64 KB", "700 bytes, `--processes 2`"), [kind.name for kind in sizing.KINDS]
    assert all(float(rows[name][1]) > 0 and float(rows[name][2]) > 0 for name in (*cases, *kinds))


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_steady_prints_a_valid_table() -> None:
    """Each part has its figures; all entries have arrived."""
    printed = _run("steady", "--steadily", "1440")
    assert "all 1440 entries received" in printed
    assert list(_rows(printed))[-1] == "1,440"


@pytest.mark.e2e
@pytest.mark.slow
def test_bodies_prints_a_valid_table() -> None:
    """A body that the rules take arrives as an entry, cut to the limit, and no other does."""
    printed = _run("bodies", "--megabytes", "1")
    assert "figures void" not in printed
    assert printed.count("| all 3 |") == 1


@pytest.mark.e2e
@pytest.mark.slow
def test_sse_prints_a_valid_table() -> None:
    """All streams are live with and without a proxy, and each becomes an entry."""
    rows = _rows(_run("sse", "--streams", "5", "--seconds", "2"))
    assert [row[2] for row in rows.values()] == ["5 of 5"] * 3
    assert rows["with the addon"][-1] == "5 of 5"


@pytest.mark.slow
def test_hooks_prints_a_sum() -> None:
    """The hooks are measured one by one and summed."""
    *hooks, total = _python("-m", "benchmarks.hooks").splitlines()
    times = [float(line.split()[-2]) for line in hooks]
    assert [line.split()[0] for line in hooks] == ["requestheaders", "responseheaders", "response"]
    assert float(total.split()[-2]) == pytest.approx(sum(times), abs=0.2)


@pytest.mark.parametrize(("peak", "verdict"), [(150_000_000, "ok"), (150_000_001, "**over**")])
def test_memory_has_a_bound(peak: int, verdict: str) -> None:
    """Line 2: the bound is exactly idle memory, the queue's limit and 40 MB."""
    run = Run("hanging", "spill", 10_000_000, 500.0, idle=100_000_000, peak=peak)
    assert run.is_ok is (verdict == "ok")
    assert run.row()[-1] == verdict
    assert replace(run, limit=None).is_ok


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_memory_in_a_short_outage() -> None:
    """Line 2: some seconds at full load, Akto refusing and hanging, fill a small queue or the disk within the bound."""
    rows = [
        line.strip("| ").split(" | ")
        for line in _python("-m", "benchmarks.memory", "0.05", "--queue-bytes", "500000").splitlines()
        if line.startswith("| ")
    ][2:]
    assert [row[:2] for row in rows[1:]] == [[a, d] for a in ("refusing", "hanging") for d in ("spill", "memory")]
    for row in rows[1:]:
        queue, disk = float(row[7]), float(row[8])
        assert queue > 0.4 if row[1] == "memory" else disk > 0.4
        assert row[9] == "ok"


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_outage_prints_a_valid_table() -> None:
    """Line 10: the benchmark that compares clients' throughput and p99 runs through every kind of trouble."""
    rows = _rows(_run("outage", "--turns", "1", "--burst", "300"))
    assert list(rows) == [
        "healthy",
        "hanging",
        "resetting",
        "1 byte/s",
        "healthy again",
        "500",
        "refusing",
        "dead name",
    ]
    assert all(float(each) > 0 for row in rows.values() for each in row[1:])


def _run(*args: str, tools: str = "all") -> str:
    return _python("-m", "benchmarks", *args, path="" if tools == "python only" else os.environ["PATH"])


def _python(*args: str, path: str | None = None) -> str:
    environment = os.environ if path is None else os.environ | {"PATH": path}
    run = subprocess.run(
        [sys.executable, *args], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def _rows(printed: str) -> dict[str, list[str]]:
    """Return the rows of a table by the name in their first column."""
    lines = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    return {line[0]: line for line in lines[2:]}
