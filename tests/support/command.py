"""The command line `akto-mirror`, run in this process to save the start of Python and the imports."""

from __future__ import annotations

import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from subprocess import CompletedProcess
from unittest import mock

import pytest

from akto_mirror import cli
from akto_mirror.cli.terminal import INTERRUPTS


def call(*words: object, **variables: str) -> CompletedProcess[str]:
    """Run a command to its end, with additional environment variables; return the result like a process's."""
    argv = [str(word) for word in words]
    handlers = {number: signal.getsignal(number) for number in INTERRUPTS}
    out, err = StringIO(), StringIO()
    try:
        with mock.patch.dict(os.environ, variables), redirect_stdout(out), redirect_stderr(err):
            code = _code(argv)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return CompletedProcess(argv, code, out.getvalue(), err.getvalue())


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the only line on standard error; nothing else may have been printed."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("akto-mirror ")
    return err


def _code(argv: list[str]) -> int:
    try:
        return cli.main(argv)
    except SystemExit as ended:
        return int(ended.code or 0)
