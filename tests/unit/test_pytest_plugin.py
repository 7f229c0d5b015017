"""The pytest fixture `akto_entries`, in temporary projects, whose pytest mostly runs in this process."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points

import pytest

# The fixture imports this lazily, and pytester would import it again in each run.
from akto_mirror.replay import entries as _  # noqa: F401
from tests.support.data import DATA
from tests.support.proxy import DEADLINE, ROOT

pytest_plugins = ["pytester"]

MODULE = "akto_mirror.pytest_plugin"

# An editable installation that is older than the plugin does not know its entry point.
INSTALLED = any(point.value == MODULE for point in entry_points(group="pytest11"))
LOAD = () if INSTALLED else ("-p", MODULE)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a project with recordings beside its tests."""
    for name in ("flows.mitm", "chrome.har"):
        (pytester.path / name).write_bytes((DATA / name).read_bytes())
    return pytester


def inside(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the project's tests in this process, which has the imports already."""
    return project.runpytest_inprocess(*LOAD, "-p", "no:cacheprovider", *arguments)


def run(project: pytest.Pytester, test: str) -> pytest.RunResult:
    """Run a test of the project in a subprocess, with the plugin loaded as an installation would load it."""
    project.makepyfile(test)
    return project.runpytest_subprocess(*LOAD, "-p", "no:cacheprovider", timeout=DEADLINE)


def test_the_plugin_is_declared() -> None:
    """The package declares the plugin as an entry point."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert declared == {"akto_mirror": MODULE}


def test_a_project_asserts_on_its_entries(project: pytest.Pytester) -> None:
    """Entries are dicts in order, and the skipped flows have their reasons."""
    result = run(
        project,
        """
        def test_it(akto_entries):
            entries = akto_entries("flows.mitm")
            assert [entry["path"] for entry in entries] == ["/api/items?x=1", "/live"]
            assert entries[0]["responsePayload"] == '{"id":1}'
            assert [tuple(skipped) for skipped in entries.skipped][0] == (
                "GET", "http://api.example.com/", "content type text/html"
            )
            assert {skipped.reason for skipped in entries.skipped} == {
                "content type text/html", "status 404", "no response"
            }
        """,
    )
    result.assert_outcomes(passed=1)


def test_options_are_keywords(project: pytest.Pytester) -> None:
    """Options of all types are keyword arguments; several files can be read at once."""
    project.makepyfile(
        """
        def test_it(akto_entries):
            entries = akto_entries(
                "flows.mitm",
                "chrome.har",
                akto_fidelity="worker",
                akto_body_limit=4,
                akto_include_query=False,
                akto_routes=["shop.example/api/*", "api.example.com/*"],
                akto_filter="~m POST",
            )
            names = ["/api/items", "/api/orders", "/api/photos", "/api/login"]
            assert [entry["path"] for entry in entries] == names
            assert entries[0]["responsePayload"] == '{"id'
            assert entries[0]["tag"] == '{\\n  "service": "cloudflare"\\n}'
        """
    )
    inside(project).assert_outcomes(passed=1)


def test_a_file_is_found_beside_the_test_or_where_pytest_runs(project: pytest.Pytester) -> None:
    """A path may be absolute, or relative to the test or to the working directory."""
    folder = project.mkdir("tests")
    (folder / "beside.mitm").write_bytes((DATA / "flows.mitm").read_bytes())
    (folder / "test_it.py").write_text(
        "import pathlib\n"
        "def test_it(akto_entries):\n"
        "    for file in ('beside.mitm', 'flows.mitm', pathlib.Path('flows.mitm').absolute()):\n"
        "        assert len(akto_entries(file)) == 2\n"
    )
    inside(project).assert_outcomes(passed=1)


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_fixtures_of_any_scope_may_use_it(scope: str, project: pytest.Pytester) -> None:
    """Fixtures of any scope may use it, in a test file and in a conftest.py above, with the recording beside either."""
    for place in ("above", "above/below"):
        project.mkdir(place) if "/" not in place else (project.path / place).mkdir()
    (project.path / "above" / "one.mitm").write_bytes((DATA / "flows.mitm").read_bytes())
    (project.path / "above" / "below" / "two.mitm").write_bytes((DATA / "flows.mitm").read_bytes())
    fixture = f"import pytest\n@pytest.fixture(scope={scope!r})\ndef %s(akto_entries): return akto_entries(%r)\n"
    (project.path / "above" / "conftest.py").write_text(fixture % ("one", "one.mitm") + fixture % ("two", "two.mitm"))
    test = (
        fixture % ("own", "two.mitm")
        + "def test_it(one, two, own): assert [len(x) for x in (one, two, own)] == [2] * 3"
    )
    (project.path / "above" / "below" / "test_it.py").write_text(test)
    inside(project).assert_outcomes(passed=1)


@pytest.mark.parametrize("place", ["tests/test_it.py::test_it", ""])
def test_the_folders_searched_are_named(place: str, project: pytest.Pytester) -> None:
    """The failure for a missing file is short: the call, and the folders that were searched."""
    folder = project.mkdir("tests")
    (folder / "test_it.py").write_text("def test_it(akto_entries):\n    akto_entries('none.mitm')\n")
    result = inside(project, *([place] if place else []))
    result.assert_outcomes(failed=1)
    message = f"FileNotFoundError: No such file or directory: 'none.mitm'; looked in {folder}, {project.path}"
    result.stdout.fnmatch_lines([f"E *{message}"])
    assert "akto_mirror" not in result.stdout.str().partition("FAILURES")[2]


def test_the_environment_does_not_matter(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment variables for the proxy, valid or not, do not affect the tests."""
    monkeypatch.setenv("AKTO_DATA_INGESTION_URL", "nonsense")
    run(project, "def test_it(akto_entries): assert len(akto_entries('flows.mitm')) == 2").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("akto_entries('none.mitm')", "No such file or directory: 'none.mitm'"),
        ("akto_entries('test_it.py')", "test_it.py: neither a flow file of mitmproxy nor a HAR file"),
        ("akto_entries('cut.mitm')", "cut.mitm: damaged or cut short after flow 3"),
        ("akto_entries('flows.mitm', akto_fidelty='worker')", "no such option; did you mean akto_fidelity?"),
        ("akto_entries('flows.mitm', akto_fidelity='x')", "it must be one of akto, worker"),
        ("akto_entries('flows.mitm', akto_body_limit='4')", "it must be a whole number"),
    ],
)
def test_what_is_wrong_fails_the_test(call: str, message: str, project: pytest.Pytester) -> None:
    """A file that cannot be read to its end, or a wrong option, fails the test instead of giving an empty list."""
    whole = (DATA / "flows.mitm").read_bytes()
    (project.path / "cut.mitm").write_bytes(whole[: len(whole) * 3 // 5])
    project.makepyfile(test_it=f"def test_it(akto_entries): {call}")
    result = inside(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{message}*".replace("[", "[[]")])
    report = result.stdout.str().partition("FAILURES")[2].partition("short test summary")[0]
    assert len([line for line in report.splitlines() if line.strip()]) < 12, report


def test_the_fixture_explains_itself(project: pytest.Pytester) -> None:
    """`pytest --fixtures` shows an example of a call."""
    result = inside(project, "--fixtures")
    result.stdout.fnmatch_lines(["akto_entries*", '*akto_entries("flows.mitm", akto_fidelity="worker")*'])


def test_other_projects_pay_nothing() -> None:
    """Loading the plugin imports pytest, and no other dependency of this package."""
    code = f"import sys, pytest; before = set(sys.modules); import {MODULE}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["akto_mirror", MODULE]
