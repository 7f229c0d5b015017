"""`akto-mirror run --processes N`: starts the parent of N workers, or makes this process a worker."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from akto_mirror.runner import arguments
from akto_mirror.runner.arguments import WorkerArgument
from akto_mirror.telemetry import pool
from akto_mirror.workers import supervisor
from akto_mirror.workers.lines import NumberedLines
from akto_mirror.workers.supervisor import Supervisor
from akto_mirror.workers.worker import Worker

# Lines are written at once. The current folder is on the module search path only if it is on the parent's.
FLAGS = ("-u", *(() if Path(sys.argv[0]).name == "__main__.py" else ("-P",)), "-m", "akto_mirror")

# mitmdump's arguments for logging errors only, alone or together with the one that starts no server.
QUIET = frozenset({"-q", "--quiet", "-nq", "-qn"})


def supervise(size: int, words: Sequence[str]) -> int:
    """Serve with several workers; returns the exit code.

    Args:
        size: the number of workers.
        words: the arguments after `run`, without `--processes`.
    """
    if sys.platform != "linux":
        sys.exit(f"{arguments.PROGRAM}: --processes above 1 works on Linux only; leave it out")
    log = (lambda _: None) if QUIET.intersection(words) else say
    log(supervisor.raise_limit())
    return asyncio.run(_supervise(size, words, log))


def join(argument: WorkerArgument) -> Worker:
    """Make this process a worker: its log lines get its number, and its addon knows the other workers."""
    sys.stdout, sys.stderr = (NumberedLines(each, argument.number) for each in (sys.stdout, sys.stderr))
    worker = Worker(argument.number, argument.size, socket.socket(fileno=argument.channel))
    os.set_inheritable(argument.channel, False)
    pool.join(worker)
    return worker


def say(line: str) -> None:
    """Write a line as mitmdump writes its log."""
    now = time.time()
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    sys.stdout.write(f"[{clock}.{int(now % 1 * 1000):03}] {line}\n")
    sys.stdout.flush()


async def _supervise(size: int, words: Sequence[str], log: Callable[[str], None]) -> int:
    def command(number: int, channel: int) -> list[str]:
        return [sys.executable, *FLAGS, *arguments.for_worker(words, WorkerArgument(number, size, channel))]

    return await Supervisor(size, command, log).run()
