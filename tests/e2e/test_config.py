"""A real mitmdump with an invalid configuration ends at once, with one line that says what to correct."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from mitmproxy import version

from tests.support import forked
from tests.support.environment import bare
from tests.support.proxy import ADDON, DEADLINE, MITMDUMP

pytestmark = pytest.mark.e2e


def command(folder: Path, *arguments: str) -> list[str]:
    """Return the command of a mitmdump with the addon."""
    return [str(MITMDUMP), "--set", f"confdir={folder}", "-p", "0", "-s", str(ADDON), *arguments]


def mitmdump(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run mitmdump until it ends by itself."""
    return forked.run_to_end(command(folder, *arguments), bare() | (env or {}), DEADLINE)


def started(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program itself until it ends."""
    return subprocess.run(
        command(folder, *arguments),
        env=bare(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=DEADLINE,
        check=False,
    )


def akto_lines(output: str) -> list[str]:
    """Return the addon's lines, without mitmproxy's timestamps."""
    return [found[1] for line in output.splitlines() if (found := re.match(r"(?:\[[\d:.]+\] )?akto: (.*)", line))]


def check_refusal(done: subprocess.CompletedProcess[str], option: str, value: str) -> str:
    """Check that mitmdump ended with exactly one line of the addon, naming option and value, and return the line."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    (line,) = akto_lines(done.stdout)
    assert line.startswith(f"{option}={value}: "), line
    return line


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("akto_url", "http://[::1", "http://[::1"),
        ("akto_url", "ftp://ingest.example.com", "ftp://ingest.example.com"),
        ("akto_url", "file:///no-such-folder/out.ndjson", "file:///no-such-folder/out.ndjson"),
        ("akto_routes", "*.example.*/api", "*.example.*/api"),
        ("akto_filter", "~nonsense", "~nonsense"),
        ("akto_body_limit", "-1", "-1"),
        ("akto_linger_ms", "soon", "soon"),
        ("akto_bodylimit", "1", "1"),
        ("akto_stream", "sometimes", "sometimes"),
        ("akto_tag", "[1]", "[1]"),
        ("akto_uds", "/no-such-folder/akto.sock", "/no-such-folder/akto.sock"),
        ("akto_token", "hunter2\nhunter2", "(hidden)"),
    ],
)
def test_a_wrong_option_ends_the_start(tmp_path: Path, option: str, value: str, shown: str) -> None:
    """One line names option and value; the exit code is 1, without a traceback, and no secret is shown."""
    done = mitmdump(tmp_path, "--set", f"{option}={value}")
    check_refusal(done, option, shown)
    assert "hunter2" not in done.stdout


def test_a_wrong_variable_ends_the_start(tmp_path: Path) -> None:
    """The line names the variable, so that users need not search the command line for it."""
    done = mitmdump(tmp_path, env={"AKTO_API_TOKEN": "hunter2\n"})
    assert "AKTO_API_TOKEN" in check_refusal(done, "akto_token", "(hidden)")
    assert "hunter2" not in done.stdout


@pytest.mark.parametrize(
    ("text", "option", "shown"),
    [
        ('akto_body_limit: "many"', "akto_body_limit", "many"),
        ('akto_routes: "*.example.com/*"', "akto_routes", "*.example.com/*"),
        ("akto_url: [http://127.0.0.1:9091]", "akto_url", "http://127.0.0.1:9091"),
    ],
)
def test_a_wrong_configuration_file_ends_the_start(tmp_path: Path, text: str, option: str, shown: str) -> None:
    """The start ends with one line, even where a value's type would crash mitmproxy itself."""
    (tmp_path / "config.yaml").write_text(text + "\n", encoding="utf-8")
    check_refusal(mitmdump(tmp_path), option, shown)


def test_mitmdump_still_lists_its_options(tmp_path: Path) -> None:
    """`--options` works; from version 12 on it includes the options of scripts."""
    done = mitmdump(tmp_path, "--options")
    assert done.returncode == 0
    assert "Traceback" not in done.stdout
    assert ("akto_url: ''" in done.stdout) is (int(version.VERSION.partition(".")[0]) >= 12)


def test_mitmdump_still_lists_its_commands(tmp_path: Path) -> None:
    """`--commands` works: the addon can be loaded without a running proxy."""
    done = started(tmp_path, "--commands")
    assert done.returncode == 0
    assert "set option" in done.stdout
    assert "Traceback" not in done.stdout
