"""Proxy processes, and their CPU time and memory. Linux only: the figures come from /proc."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
ADDON = HERE.parent / "akto_addon.py"
ANNOUNCE_PORT = HERE / "scripts" / "announce_port.py"
POST_EACH_FLOW = HERE / "scripts" / "post_each_flow.py"
EMPTY_HOOKS = HERE / "scripts" / "empty_hooks.py"

# Makes the clock id of a process, as clock_getcpuclockid(3) does: finer than the ticks in /proc.
CPUCLOCK_SCHED = 2


RUN = (sys.executable, "-m", "akto_mirror", "run")


@dataclass(frozen=True)
class Mode:
    """One way to run mitmdump.

    Attributes:
        name: the name in the table.
        args: additional arguments of the command line.
        program: the command; empty for mitmdump itself.
        processes: the number of serving processes.
    """

    name: str
    args: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    processes: int = 1


PLAIN = Mode("plain mitmdump")

LISTENING = Mode("an addon of six empty hooks", ("-s", str(EMPTY_HOOKS)))

MIRRORING = "with the addon"

RUNNING = "`akto-mirror run`"

# Redaction of everything that it can find.
REDACTING = tuple(word for what in ("headers", "fields", "values") for word in ("--set", f"akto_redact_{what}=common"))


def with_addon(url: str, script: Path = ADDON, name: str = MIRRORING, args: Sequence[str] = ()) -> Mode:
    """Load the addon, or another version of it, and send entries to `url`."""
    return Mode(name, ("-s", str(script), "--set", f"akto_url={url}", *args))


def under_run(url: str, processes: int = 1, name: str = RUNNING, args: Sequence[str] = ()) -> Mode:
    """Run `akto-mirror run`, which loads the addon, and send entries to `url`."""
    return Mode(name, ("--set", f"akto_url={url}", *args), (*RUN, f"--processes={processes}"), processes)


def posting_each_flow() -> Mode:
    """Post each flow by itself, as the Worker does."""
    return Mode("one POST a flow", ("-s", str(POST_EACH_FLOW)))


@dataclass(frozen=True)
class Proxy:
    """A running proxy: a process, and its children if it has any."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Seconds of CPU time so far, user and system, of all threads, including those that have ended."""
        return sum(time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) for pid in _family(self.pid))

    def memory_mib(self) -> float:
        """Current resident memory."""
        return self._status("VmRSS")

    def peak_mib(self) -> float:
        """Peak resident memory."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Reset the peak to the current resident memory; see proc_pid_clear_refs(5)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        return sum(_kib(pid, name) for pid in _family(self.pid)) / 1024


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        # The thread may have ended since it was listed.
        with suppress(FileNotFoundError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


# Seconds that a start may take, also under callgrind.
START_S = 300.0


@contextmanager
def running_proxy(mode: Mode, target_port: int, ingestion_url: str, before: Sequence[str] = ()) -> Generator[Proxy]:
    """Run mitmdump in front of a target; every mode is as quiet as the others.

    Args:
        mode: how mitmdump is run.
        target_port: the target's port at 127.0.0.1.
        ingestion_url: for the mode that posts each flow.
        before: a program, with its arguments, under which mitmdump runs.
    """
    with TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [*before, *_command(mode, target_port, folder)], env=_environment(folder, port_file, ingestion_url)
        )
        try:
            yield Proxy(process.pid, _wait_for_port(process, port_file, mode))
        finally:
            # Everything has been measured, and an orderly end takes long.
            process.kill()
            process.wait()


def _command(mode: Mode, target_port: int, folder: str) -> list[str]:
    reverse = f"reverse:http://127.0.0.1:{target_port}@127.0.0.1:0"
    quiet = ("-q", "--set", "flow_detail=0")
    program = mode.program or (sys.executable, _mitmdump())
    return [*program, *quiet, "--mode", reverse, "--set", f"confdir={folder}", "-s", str(ANNOUNCE_PORT), *mode.args]


def _mitmdump() -> str:
    beside = Path(sys.executable).with_name("mitmdump")
    return str(beside) if beside.exists() else shutil.which("mitmdump") or "mitmdump"


def _environment(folder: str, port_file: Path, ingestion_url: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AKTO_")}
    bench = {"BENCH_PORT_FILE": str(port_file), "BENCH_INGESTION_URL": ingestion_url}
    return ours | bench | {"XDG_STATE_HOME": f"{folder}/state"}


def _wait_for_port(process: subprocess.Popen[bytes], port_file: Path, mode: Mode) -> int:
    until = time.monotonic() + START_S
    while len(written := list(port_file.parent.glob(f"{port_file.name}.*"))) < mode.processes:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"mitmdump did not start: {mode.name}, with {' '.join(mode.args)}")
        time.sleep(0.02)
    return int(written[0].read_text())
