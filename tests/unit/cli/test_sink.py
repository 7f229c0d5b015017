"""`akto-mirror sink`: arguments, addresses that are taken, and files that cannot be written."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from akto_mirror.cli import program, terminal
from akto_mirror.cli import sink as sink_command
from akto_mirror.ingestion.service import Receiver
from tests.support.command import one_error


def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use ends the sink with one line that names the port and the option."""
    with Receiver() as other:
        assert program.main(["sink", "--port", str(other.port)]) == 1
    error = one_error(capsys)
    assert f"port {other.port}" in error
    assert "--port" in error


@pytest.mark.parametrize("name", [".", "none/entries.ndjson"])
def test_a_file_that_cannot_be_written_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An --out that cannot be opened ends the sink with one line."""
    path = tmp_path / name
    assert program.main(["sink", "--port", "0", "--out", str(path)]) == 1
    assert str(path) in one_error(capsys)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", ["pipe", "socket", "link"])
def test_a_pipe_is_refused(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An --out that would wait for a reader ends the sink before it listens, with one line that says why."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to("pipe")
        assert program.main(["sink", "--port", "0", "--out", str(tmp_path / kind)]) == 1
    error = one_error(capsys)
    assert str(tmp_path / kind) in error
    assert "it is a pipe or a socket" in error


def test_the_sink_can_be_interrupted_before_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the sink listens, signals end it as any other program: opening its file may take long."""
    before = {number: signal.getsignal(number) for number in terminal.INTERRUPTS}

    def opened(_: object) -> NoReturn:
        assert {number: signal.getsignal(number) for number in terminal.INTERRUPTS} == before
        raise KeyboardInterrupt

    monkeypatch.setattr(sink_command, "_receiver", opened)
    assert program.main(["sink"]) == 130
