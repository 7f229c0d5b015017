"""What the parent of several workers says and starts."""

from __future__ import annotations

import re

import pytest

from akto_mirror.runner import several


def test_lines_look_like_mitmproxys(capsys: pytest.CaptureFixture[str]) -> None:
    """With the clock before them."""
    several.say("akto: all is well")
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\.\d{3}\] akto: all is well\n", capsys.readouterr().out)


@pytest.mark.parametrize("quiet", [[], ["-q"], ["--quiet"], ["-nq"]], ids=str)
def test_a_quiet_log_stays_quiet(
    quiet: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The parent's lines are none of errors."""

    async def nothing(*_: object) -> int:
        return 0

    monkeypatch.setattr(several, "_supervise", nothing)
    assert several.supervise(2, quiet) == 0
    assert bool(capsys.readouterr().out) is not bool(quiet)


def test_elsewhere_than_on_linux_one_line_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(SystemExit, match="--processes above 1 works on Linux only; leave it out"):
        several.supervise(2, [])
