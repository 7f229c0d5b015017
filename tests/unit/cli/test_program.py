"""The command line as users run it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from akto_mirror.cli import program, terminal
from akto_mirror.ingestion.service import Receiver
from tests.support.command import call, one_error


@pytest.fixture(autouse=True)
def _no_settings_of_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's environment variables for Akto out of the tests."""
    for name in (terminal.URL_VARIABLE, terminal.TOKEN_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_nothing_heavy_is_imported_for_help() -> None:
    """The command line starts fast: mitmproxy, tornado and httpx are imported only for commands that need them."""
    code = (
        "import sys, akto_mirror.cli; print(*{'asyncio', 'mitmproxy', 'tornado', 'httpx', 'msgspec'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["demo", "--help"],
        ["sink", "--help"],
        ["check", "--help"],
        ["replay", "--help"],
        ["addon-path", "--help"],
    ],
)
def test_help_is_there(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every command has a help text."""
    with pytest.raises(SystemExit) as ended:
        program.main(argv)
    assert ended.value.code == 0
    assert "usage: akto-mirror" in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("addon-path", ['mitmdump -s "$(akto-mirror addon-path)"']),
        ("completion", ['eval "$(akto-mirror completion bash)"', 'eval "$(akto-mirror completion zsh)"']),
    ],
)
def test_commands_to_paste_stay_whole(
    name: str, lines: list[str], columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands to copy stay on one line, in terminals of any width."""
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit):
        program.main([name, "--help"])
    shown = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in shown if "$(" in line] == lines
    assert max(map(len, shown)) <= max(int(columns), *(len(f"    {line}") for line in lines))


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_reported(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the program and its version."""
    with pytest.raises(SystemExit) as ended:
        program.main([word])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("akto-mirror 0.")


@pytest.mark.parametrize(
    "line",
    [
        *("", "none", "sink --port x", "sink --port 65536", "check", "check a b", "demo x"),
        *("check --timeout 0 http://x", "check --timeout nan http://x", "check --timeout soon http://x"),
        *("check foo", "check http://a --to http://b", "spool drop", "spool retry --from x", "spool retry --uds /x"),
        *("spool retry --to ftp://x", "spool retry --uds /x --to file:///x", "spool", "spool none", "doctor x"),
        *("sink --token é", "check http://x --token é", "doctor --token é", "replay x --to ftp://x", "replay x x -n"),
    ],
)
def test_wrong_usage_exits_with_2(line: str) -> None:
    """A wrong command line is one line on standard error, after the usage if argparse refuses it."""
    done = call(*line.split())
    message = done.stderr
    assert done.returncode == 2
    assert message.splitlines()[-1].startswith("akto-mirror")
    assert "usage: akto-mirror" in message or message.count("\n") == 1
    assert " invalid _" not in message  # The name of a function in this program.


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:9091", "ftp://x", "http://", "http://h:99999", "file:///tmp/x.ndjson", "http://[::1", "http://a b"],
)
def test_check_refuses_what_is_not_a_url(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that an ingestion service cannot have is a wrong command line, as argument and as option."""
    for words in ([url], ["--to", url]):
        assert program.main(["check", *words]) == 2
        assert url in one_error(capsys)


def test_check_does_not_show_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    """A URL with a password is refused without showing it."""
    assert program.main(["check", "http://ann:hunter2@127.0.0.1:9091"]) == 2
    assert "hunter2" not in one_error(capsys)


def test_check_takes_url_and_token_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment variables that Akto's users know replace the arguments."""
    with Receiver(token="from-outside") as server:
        monkeypatch.setenv(terminal.URL_VARIABLE, server.url)
        monkeypatch.setenv(terminal.TOKEN_VARIABLE, "from-outside")
        assert program.main(["check"]) == 0
        assert program.main(["check", "--token", "given"]) == 1
    out, _ = capsys.readouterr()
    assert "from-outside" not in out
    assert "given" not in out
