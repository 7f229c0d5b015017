"""The parent of several workers: its log lines, limits and checks."""

from __future__ import annotations

import re

import pytest

from akto_mirror.runner import several


def test_lines_look_like_mitmproxys(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines start with the time."""
    several.say("akto: all is well")
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\.\d{3}\] akto: all is well\n", capsys.readouterr().out)


async def serve_nothing(*_: object) -> int:
    """Replace the supervisor."""
    return 0


def test_files_and_connections_are_raised_to_the_hard_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The soft limit is raised to the hard limit, and a line shows both."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit, and no workers")
    monkeypatch.setattr(several, "_supervise", serve_nothing)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    try:
        assert several.supervise(2, []) == 0
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert f"akto: {hard} files and connections may be open (before: {hard - 1})" in capsys.readouterr().out


@pytest.mark.parametrize("quiet", [[], ["-q"], ["--quiet"], ["-nq"]], ids=str)
def test_a_quiet_log_stays_quiet(
    quiet: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `-q` the parent's lines, which are not errors, are not printed."""
    monkeypatch.setattr(several, "_supervise", serve_nothing)
    assert several.supervise(2, quiet) == 0
    assert bool(capsys.readouterr().out) is not bool(quiet)


def test_elsewhere_than_on_linux_one_line_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems than Linux, nothing is started, and one line says why."""
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(SystemExit, match="--processes above 1 works on Linux only; leave it out"):
        several.supervise(2, [])
