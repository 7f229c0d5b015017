"""mitmdump in a forked process that has already imported mitmproxy and this package, to save most of the start time.

The standard library's fork server imports both once for each process that runs tests. Each mitmdump is a fork of it,
and loads the script `akto_addon.py` as any other does. Tests of the start itself start the program.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

MODULES = (
    "tests.support.forked",
    "mitmproxy.tools.main",
    "mitmproxy.tools.dump",
    "httpx",
    "tornado.web",
    "akto_mirror.addon.mirror",
)

IS_POSSIBLE = "forkserver" in multiprocessing.get_all_start_methods()


class Forked:
    """A process that runs mitmdump, with the part of the `subprocess.Popen` interface that tests use."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        read, write = os.pipe()
        self.stdout: IO[str] = open(read, encoding="utf-8", errors="replace")  # noqa: SIM115, PTH123 - as Popen's
        self._process = _context().Process(target=_run, args=(list(command), dict(env), DupFd(write), str(Path.cwd())))
        try:
            self._process.start()
        finally:
            os.close(write)
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process.

        Raises:
            subprocess.TimeoutExpired: the process still runs.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("mitmdump", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)


def run_to_end(command: Sequence[str], env: Mapping[str, str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run mitmdump until it ends by itself, or for at most this many seconds; the output includes standard error."""
    process = Forked(command, env)
    killer = threading.Timer(seconds, process.kill)
    killer.start()
    with process.stdout as output:
        text = output.read()
    killer.cancel()
    return subprocess.CompletedProcess(command, process.wait(seconds), text)


@functools.cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(MODULES))
    return context


def _run(command: list[str], env: dict[str, str], output: Any, folder: str) -> None:
    """Run mitmdump as the command would, then end the process as Python does."""
    for number in (1, 2):
        os.dup2(output.detach() if number == 1 else 1, number)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115 - stays open
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115 - stays open
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = command
    try:
        from mitmproxy.tools.main import mitmdump  # noqa: PLC0415 - not in the process of the tests

        mitmdump()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
