"""`akto-mirror run` is mitmdump: the same arguments, options, scripts, lines and exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from mitmproxy import io as flow_io
from mitmproxy.test import tflow

from tests.support.api import serving_api
from tests.support.proxy import ADDON, DEADLINE, MITMDUMP, RUN, Proxy, end, running_mitmdump, under_run

pytestmark = pytest.mark.e2e

PLAIN = (MITMDUMP, "-s", ADDON)


def outcome(done: subprocess.CompletedProcess[str]) -> tuple[int, list[str], list[str]]:
    """Return the exit code and the lines of both outputs, without the clock, the port and the program's name."""
    name = re.compile(rf"{re.escape(str(MITMDUMP))}|akto-mirror run|\bmitmdump\b")
    clock = re.compile(r"^\[[\d:.]+\]|(?<=listening at \*:)\d+")
    texts = [
        [clock.sub("", name.sub("PROGRAM", line)) for line in text.splitlines()] for text in (done.stdout, done.stderr)
    ]
    return done.returncode, texts[0], texts[1]


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A file of two flows."""
    path = tmp_path / "flows.mitm"
    with path.open("wb") as file:
        writer = flow_io.FlowWriter(file)
        for method in ("GET", "POST"):
            flow = tflow.tflow(resp=True)
            flow.request.method = method
            writer.add(flow)
    return path


QUICK = [
    ["-s", "no-such-script.py"],
    ["-nr", "FLOWS", "~m", "GET"],
]
MORE = [
    ["--version"],
    ["--nonsense"],
    ["--set", "akto_bodylimit=1", "-p", "0"],
    ["-p", "no-number"],
    ["--options"],
    ["--commands"],
    ["--check"],
    ["-s", str(ADDON), "-s", str(ADDON)],
    ["--set", "scripts=no-such-script.py"],
    ["--mode", "nonsense"],
    ["--set", "akto_body_limit=-1", "-p", "0"],
    ["-R", "http://example.com"],
    ["--no-pop"],
    ["-n", "--set", "flow_detail=nonsense"],
    ["-nr", "no-such-file"],
    ["-n", "-q", "-r", "FLOWS"],
    ["-nr", "FLOWS"],
    ["-nr", "FLOWS", "--", "~m POST"],
    ["-nvr", "FLOWS", "--set", "flow_detail=3"],
]


@pytest.mark.parametrize(
    "arguments", [*QUICK, *(pytest.param(more, marks=pytest.mark.slow) for more in MORE)], ids=" ".join
)
def test_arguments_are_mitmdumps(arguments: list[str], flows: Path) -> None:
    """With any arguments the output and the exit code are those of `mitmdump -s akto_addon.py`."""
    given = [str(flows) if word == "FLOWS" else word for word in arguments]
    plain = MITMDUMP, *(() if str(ADDON) in given or "-s" in given else ("-s", ADDON))
    assert outcome(end(RUN, *given)) == outcome(end(plain, *given))


def test_help_is_mitmdumps_and_names_our_own_options() -> None:
    """The help is mitmdump's whole text, followed by our own options."""
    plain, ours = outcome(end((MITMDUMP,), "--help")), outcome(end(RUN, "--help"))
    assert ours[0] == plain[0]
    last = [line for line in ours[1][len(plain[1]) - 1 :] if line]
    assert [line for line in ours[1][: len(plain[1])] if line] == [line for line in plain[1] if line]
    assert last[0].startswith("PROGRAM itself takes --processes N: ")


LIST = """
import logging
from mitmproxy import ctx
def running():
    logging.info("scripts: %s", [script.rpartition("/")[2] for script in ctx.options.scripts])
    ctx.master.shutdown()
"""


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """A script that lists the scripts and ends mitmproxy."""
    path = tmp_path / "list.py"
    path.write_text(LIST)
    return path


def scripts(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the scripts in their order, each of which must have been loaded once."""
    found = re.search(r"scripts: (.*)", done.stdout)
    assert found, done.stdout + done.stderr
    names = re.findall(r"'([^']+)'", found[1])
    loaded = re.findall(r"Loading script .*?([^/\n]+)$", done.stdout, re.MULTILINE)
    assert sorted(loaded) == sorted(names)
    assert done.stdout.count("akto: dry run") == 1
    return names


def test_scripts_of_the_configuration_and_the_command_line_stay(tmp_path: Path, listing: Path) -> None:
    """Our script comes last, to mirror flows as others changed them; the command line replaces the file's scripts."""
    (tmp_path / "config.yaml").write_text(f"scripts: ['{listing}']\n")
    assert scripts(end(RUN, "-p", "0", folder=tmp_path)) == ["list.py", "akto_addon.py"]
    shutil.copy(listing, tmp_path / "other.py")
    assert scripts(end(RUN, "-p", "0", "-s", str(tmp_path / "other.py"), folder=tmp_path)) == [
        "other.py",
        "akto_addon.py",
    ]


@pytest.mark.parametrize("kind", ["itself", "a copy", "a script around it"])
def test_the_script_given_as_well_is_taken_as_ours(kind: str, tmp_path: Path, listing: Path) -> None:
    """The addon's script is loaded once, at its place in the list."""
    script = ADDON if kind == "itself" else tmp_path / "mine.py"
    if kind == "a copy":
        shutil.copy(ADDON, script)
    elif kind == "a script around it":
        script.write_text("from akto_mirror.addon.mirror import AktoMirror\naddons = [AktoMirror()]\n")
    done = end(RUN, "-p", "0", "-s", str(script), "-s", str(listing))
    assert scripts(done) == [script.name, "list.py"]


def test_a_script_that_loads_nothing_is_not_taken_in_silence(tmp_path: Path, listing: Path) -> None:
    """A script that seems to load the addon but does not is named in the log."""
    script = tmp_path / "mine.py"
    script.write_text("from akto_mirror.addon.mirror import AktoMirror\n")
    done = end(RUN, "-p", "0", "-s", str(script), "-s", str(listing))
    assert "akto: nothing is mirrored: none of the scripts has loaded the addon" in done.stdout


MARKS = """
def response(flow):
    flow.response.headers["x-mark"] = {mark!r}
"""


def until(proxy: Proxy, expected: Callable[[], bool]) -> None:
    """Wait for a condition, longer than mitmproxy's one second between two checks of a script."""
    deadline = time.monotonic() + DEADLINE
    while not expected():
        assert time.monotonic() < deadline, "\n".join(proxy.log)
        time.sleep(0.01)


def test_scripts_are_reloaded_and_taken_out(tmp_path: Path) -> None:
    """A changed script is reloaded, and a deleted one is removed, as the next request shows."""
    script = tmp_path / "mark.py"
    script.write_text(MARKS.format(mark="one"))
    out = tmp_path / "out.ndjson"
    with (
        under_run(),
        serving_api() as api,
        running_mitmdump(f"reverse:{api.url}", scripts=[ADDON, script], options={"akto_url": f"file://{out}"}) as proxy,
    ):

        def mark() -> str | None:
            found: str | None = httpx.get(f"{proxy.url}/", trust_env=False, timeout=DEADLINE).headers.get("x-mark")
            return found

        assert mark() == "one"
        time_before = script.stat().st_mtime
        # Atomically: mitmproxy might check between truncation and writing, and would then see no further change.
        # With another length: Python reuses bytecode if the source has the same length and modification second.
        changed = tmp_path / "changed"
        changed.write_text(MARKS.format(mark="second"))
        changed.replace(script)
        assert script.stat().st_mtime > time_before
        until(proxy, lambda: mark() == "second")
        script.unlink()
        until(proxy, lambda: mark() is None)
        assert [line for line in proxy.log if "Traceback" in line or " error" in line] == []
    headers = [json.loads(json.loads(line)["responseHeaders"]) for line in out.read_text().splitlines()]
    assert [found.get("x-mark") for found in (headers[0], headers[-1])] == ["one", None]


MISTAKE = """
import logging
from mitmproxy import ctx, http
def running():
    try:
        http.Response(b"HTTP/1.1", "200", b"OK", http.Headers(), b"", None, 0.0, 0.0)
    except TypeError as error:
        logging.info("refused: %s", error)
    ctx.master.shutdown()
"""


@pytest.mark.parametrize("checks", [[], ["--checks"]], ids=["without", "with"])
def test_messages_are_checked_if_asked_for(checks: list[str], tmp_path: Path) -> None:
    """`--checks` keeps the only checks that `run` removes from mitmproxy's classes."""
    script = tmp_path / "mistake.py"
    script.write_text(MISTAKE)
    done = end(RUN, "-p", "0", "-s", str(script), *checks)
    assert done.returncode == 0, done.stdout
    assert ("refused: Expected" in done.stdout) is bool(checks)


def test_it_is_a_module_too() -> None:
    """`python -m akto_mirror run` works alike."""
    assert outcome(end(("-m", "akto_mirror", "run"), "--version")) == outcome(end(RUN, "--version"))
