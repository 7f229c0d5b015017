"""The demo's mitmdump process: starts it, waits until it listens, and always stops it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from akto_mirror.demo import script
from akto_mirror.escaping import printable

START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
TAIL_LINES = 20


class DemoError(Exception):
    """The demo cannot run; the text says why and what to do."""


@contextmanager
def mitmdump(target: str, ingestion: str, addon: Path, flows: Path) -> Iterator[int]:
    """Run mitmdump, yielding its port; on leaving, it is stopped after it has written and sent everything.

    Args:
        target: The address of the API.
        ingestion: The address of the ingestion service.
        addon: The path of the script that mirrors.
        flows: The file to record flows in; all other files of mitmdump are in its folder.

    Raises:
        DemoError: If mitmdump does not start, does not answer or does not end as it should.
    """
    proxy = _Mitmdump(_command(target, ingestion, addon, flows), flows.parent)
    try:
        yield proxy.start()
        proxy.end()
    except (httpx.HTTPError, OSError) as error:
        proxy.close()
        reason = printable(str(error)) or type(error).__name__
        raise DemoError(f"mitmdump does not answer as it should ({reason}). Its last lines:{proxy.tail()}") from error
    finally:
        proxy.close()


def _command(target: str, ingestion: str, addon: Path, flows: Path) -> list[str]:
    folder = Path(sys.executable).parent
    program = shutil.which("mitmdump", path=folder)
    if program is None:
        raise DemoError(f"there is no mitmdump in {folder}; install mitmproxy into the environment of akto-mirror")
    settings = {"akto_url": ingestion, "confdir": str(flows.parent), "flow_detail": "0", "listen_host": "127.0.0.1"}
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    scripts = [f"-s{path}" for path in (addon, script.__file__)]
    return [program, f"--mode=reverse:{target}", "--listen-port=0", *scripts, f"-w{flows}", *options]


def _environment() -> dict[str, str]:
    """Return the environment without the user's settings for Akto, and with an unbuffered log."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AKTO_")}
    return kept | {"PYTHONUNBUFFERED": "1"}


class _Mitmdump:
    """A mitmdump, started on a thread.

    Signals interrupt the main thread only: started there, a process could be left behind by Ctrl-C at that moment.
    The port is not read from its log, whose wording may change: `script` writes it to a file.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._log = folder / "mitmdump.log"
        self._port = folder / "port"
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._closed = False
        self._starter = threading.Thread(target=self._start, daemon=True)

    def start(self) -> int:
        """Start it and return the port that it listens on, as soon as it does."""
        self._starter.start()
        self._starter.join()
        end = time.monotonic() + START_SECONDS
        while self._process is not None and time.monotonic() < end:
            ended = self._process.poll() is not None
            if self._port.exists():
                return int(self._port.read_text())
            if ended:
                break
            time.sleep(POLL_SECONDS)
        raise DemoError(f"mitmdump does not start. Its last lines:{self.tail()}")

    def end(self) -> None:
        """Ask it to shut down, and wait until it has ended."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoError(f"mitmdump does not end. Its last lines:{self.tail()}") from None
        if code:
            raise DemoError(f"mitmdump ended with exit code {code}. Its last lines:{self.tail()}")

    def tail(self) -> str:
        """Return its last lines, indented, each on a line of its own."""
        text = self._log.read_text("utf-8", "replace") if self._log.exists() else ""
        return "".join(f"\n  {printable(line)}" for line in text.splitlines()[-TAIL_LINES:]) or " (none)"

    def close(self) -> None:
        """Kill it if it still runs, and prevent it from starting later."""
        with self._starting:
            self._closed = True
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _start(self) -> None:
        with self._starting:
            if self._closed:
                return
            with self._log.open("wb") as log:
                try:
                    self._process = self._spawn(log)
                except OSError as error:
                    log.write(str(error).encode())

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        # In its own session, or process group on Windows, it does not get Ctrl-C: it is always stopped from here.
        return subprocess.Popen(  # noqa: S603 - the program of this environment, with arguments made here
            self._command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            env=_environment() | {script.PORT_VARIABLE: str(self._port)},
            cwd=self._folder,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
