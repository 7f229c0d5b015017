"""A real mitmdump for tests, with or without the addon."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mitmproxy.certs import CertStore

from tests.support import forked
from tests.support.environment import bare

ROOT = Path(__file__).resolve().parents[2]
ADDON = ROOT / "akto_addon.py"
MITMDUMP = Path(sysconfig.get_path("scripts")) / "mitmdump"
RUN = (MITMDUMP.with_name("akto-mirror"), "run")

# The script with which `running_mitmdump` loads the addon.
_programs: list[tuple[Path | str, ...]] = [(MITMDUMP,)]

# Seconds; generous, because a busy machine is not an error.
DEADLINE = 60

# Python buffers output to a pipe; on a user's terminal the log appears line by line.
AT_ONCE = (sys.executable, "-u")
PLAIN = (*AT_ONCE, str(MITMDUMP))


@dataclass
class Proxy:
    """A running mitmdump.

    Attributes:
        process: the process itself.
        addresses: host and port of each mode, in order.
        log: the lines of its output so far, including stderr.
        reader: the thread that reads the output.
    """

    process: subprocess.Popen[str] | forked.Forked
    addresses: list[tuple[str, int]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        """Start to read the output."""
        self.reader = threading.Thread(target=_collect, args=(self,), daemon=True)
        self.reader.start()

    @property
    def port(self) -> int:
        """The port of the first mode; its host is 127.0.0.1."""
        return self.addresses[0][1]

    @property
    def url(self) -> str:
        """The first mode's address as an `http://` URL without a path."""
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, pattern: str, seconds: float = DEADLINE) -> re.Match[str]:
        """Wait until a line of the output matches the regular expression.

        Raises:
            AssertionError: mitmdump ended or the time is over; the text holds the output.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if ended:
                self.reader.join(DEADLINE)
            for line in list(self.log):
                if found := re.search(pattern, line):
                    return found
            if ended:
                break
            time.sleep(0.01)
        raise AssertionError(f"mitmdump's output has no line like {pattern!r}:\n" + "\n".join(self.log))

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers, if it has any."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in children.read_text().split()] if children.exists() else []

    def kill(self) -> None:
        """Kill the process and all of its workers at once."""
        workers = self.workers
        self.process.kill()
        for each in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End the process as Ctrl-C does, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("mitmdump did not end after SIGINT:\n" + "\n".join(self.log)) from None


@functools.cache
def confdir() -> Path:
    """A configuration folder with a certificate authority, one for the whole test process."""
    folder = Path(tempfile.mkdtemp(prefix="akto-mirror-conf-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    CertStore.from_store(folder, "mitmproxy", 2048)
    return folder


@contextmanager
def running_mitmdump(
    *modes: str,
    options: Mapping[str, str] | None = None,
    scripts: Sequence[Path | str] = (ADDON,),
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[Proxy]:
    """Run this Python's mitmdump on free ports, with the addon, until the block ends.

    Args:
        modes: mode specifications without a listening address; none means `regular`. The first listens on 127.0.0.1,
            the second on 127.0.0.2 and so on: mitmproxy refuses the same host and port 0 twice.
        options: values for `--set`.
        scripts: the scripts for `-s`; empty for a plain mitmdump.
        arguments: further command line arguments.
        env: environment variables in addition to the bare ones.

    Raises:
        AssertionError: it did not start, or did not end after SIGINT.
    """
    specs = [f"{mode}@127.0.0.{n}:0" for n, mode in enumerate(modes or ("regular",), start=1)]
    command = _command(specs, options or {}, scripts, arguments)
    with running(command, [f"127.0.0.{n}" for n in range(1, len(specs) + 1)], env) as proxy:
        yield proxy


@contextmanager
def under_run(processes: int = 1) -> Iterator[None]:
    """Make `running_mitmdump` run `akto-mirror run`, which loads the addon by itself, instead of loading scripts."""
    _programs.append((*RUN, *(["--processes", str(processes)] if processes > 1 else [])))
    try:
        yield
    finally:
        _programs.pop()


@contextmanager
def running(command: Sequence[str], hosts: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Proxy]:
    """Run a command that is or becomes a mitmproxy program, until the block ends.

    Args:
        command: the program and its arguments; it must not buffer its log.
        hosts: the addresses on which it listens, in the order of its modes.
        env: environment variables in addition, as for `running_mitmdump`; the state directory is a fresh one.

    Raises:
        AssertionError: it did not start, or did not end after SIGINT.
    """
    with tempfile.TemporaryDirectory(prefix="akto-mirror-state-") as state:
        yield from _running(command, hosts, {"XDG_STATE_HOME": state} | dict(env or {}))


def _running(command: Sequence[str], hosts: Sequence[str], env: Mapping[str, str]) -> Iterator[Proxy]:
    process = _start(command, bare() | dict(env))
    proxy = Proxy(process)
    try:
        for host in hosts:
            found = proxy.wait_for(rf"listening at .*?({re.escape(host)}):(\d+)")
            proxy.addresses.append((found[1], int(found[2])))
        yield proxy
    finally:
        proxy.stop()
        proxy.reader.join(DEADLINE)


def _start(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str] | forked.Forked:
    if forked.IS_POSSIBLE and tuple(command[: len(PLAIN)]) == PLAIN:
        return forked.Forked(command[len(AT_ONCE) :], env)
    return subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def _command(
    specs: Sequence[str], options: Mapping[str, str], scripts: Sequence[object], more: Sequence[str]
) -> list[str]:
    modes = [word for spec in specs for word in ("--mode", spec)]
    program = _programs[-1] if scripts else (MITMDUMP,)
    loaded = [word for script in scripts if program[:2] != RUN or script != ADDON for word in ("-s", str(script))]
    values = {"confdir": str(confdir())} | dict(options)
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return [*AT_ONCE, *map(str, program), *modes, *loaded, *settings, *more]


def _collect(proxy: Proxy) -> None:
    assert proxy.process.stdout
    with proxy.process.stdout as lines:
        for line in lines:
            proxy.log.append(line.rstrip("\n"))


def end(program: Sequence[object], *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program until it ends by itself."""
    settings = ("--set", f"confdir={folder or confdir()}")
    return subprocess.run(
        [*AT_ONCE, *map(str, program), *settings, *arguments],
        env=bare(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
