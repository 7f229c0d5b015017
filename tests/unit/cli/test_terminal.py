"""Functions that the commands share: lines on standard output, tokens, and the addon's path."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest

from akto_mirror.cli import program, terminal
from tests.support.command import one_error


@pytest.fixture(autouse=True)
def _no_settings_of_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's environment variables for Akto out of the tests."""
    for name in (terminal.URL_VARIABLE, terminal.TOKEN_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("token", ["line\nbreak", "caf\xe9", "\x1b[31m"])
@pytest.mark.parametrize("argv", [["sink", "--port", "0"], ["check", "http://127.0.0.1:9"]])
def test_a_token_that_no_header_can_carry_is_refused_unseen(
    token: str, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the setting, and never shows the token."""
    assert program.main([*argv, "--token", token]) == 2
    error = one_error(capsys)
    assert terminal.TOKEN_VARIABLE in error
    assert token not in error


def test_the_addon_path_is_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    """`addon-path` prints the absolute path of akto_addon.py and nothing else."""
    assert program.main(["addon-path"]) == 0
    path = Path(capsys.readouterr().out.removesuffix("\n"))
    assert path.is_absolute()
    assert path.name == "akto_addon.py"
    assert "addons = [AktoMirror()]" in path.read_text()


def test_the_token_of_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token on the command line, even an empty one, takes precedence over the environment."""
    monkeypatch.setenv(terminal.TOKEN_VARIABLE, "outside")
    assert terminal.token(argparse.Namespace(token=None)) == "outside"
    assert terminal.token(argparse.Namespace(token="mine")) == "mine"
    assert terminal.token(argparse.Namespace(token="")) == ""


def test_what_the_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that the terminal's encoding lacks are escaped, so that no line is lost."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    terminal.say("✓ café")
    assert raw.getvalue() == rb"\u2713 caf\xe9" + b"\n"


def test_an_addon_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command that reinstalls the addon."""
    monkeypatch.setattr(terminal, "find_spec", lambda _: None)
    with pytest.raises(terminal.UserError, match="reinstall with: pip install"):
        terminal.addon_path()
