"""The arguments of `akto-mirror run`: its own options, and those of mitmdump."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NamedTuple

PROGRAM = "akto-mirror run"

# From the parent to a worker only.
WORKER = "--akto-worker"

MOST = 256

CHECKS = (
    "keep mitmproxy's type check of each message, which finds mistakes in scripts that construct messages and takes a "
    "tenth of mitmdump's time"
)

PROCESSES = (
    "serve with N processes, which listen on the same addresses; 0 means one for each core; SIGHUP replaces them, and "
    "gives open connections 24 seconds to finish; Linux only, with modes that use TCP (default: %(default)s)"
)


class WorkerArgument(NamedTuple):
    """What the parent passes to a worker on its command line.

    Attributes:
        number: its number, from 1 on.
        size: how many workers there are.
        channel: the file descriptor of the channel to the parent.
    """

    number: int
    size: int
    channel: int


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add our own options to a parser."""
    parser.add_argument("--processes", type=count, default=1, metavar="N", help=PROCESSES)
    parser.add_argument("--checks", action="store_true", help=CHECKS)


def divide(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Separate the arguments after `run`.

    Args:
        words: the arguments after `run`.

    Returns:
        Our options, and mitmdump's arguments unchanged. Everything after `--` is mitmdump's.
    """
    end = words.index("--") if "--" in words else len(words)
    own, theirs = _parser().parse_known_args(words[:end])
    return own, [*theirs, *words[end:]]


def for_worker(words: Sequence[str], worker: WorkerArgument) -> list[str]:
    """Return the arguments of a worker that serves with the arguments `words`."""
    return ["run", f"{WORKER}={':'.join(map(str, worker))}", *words]


def help_text() -> str:
    """Return the text that is added at the end of mitmdump's help."""
    parser = argparse.ArgumentParser(prog=PROGRAM, add_help=False)
    add_to(parser)
    lines = (
        f"{', '.join(each.option_strings)}{f' {each.metavar}' if each.metavar else ''}: "
        f"{(each.help or '').replace('%(default)s', str(each.default))}"
        for each in parser._actions
    )
    return f"{PROGRAM} itself takes " + "; ".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
    add_to(parser)
    parser.add_argument(WORKER, type=_worker, default=None, help=argparse.SUPPRESS)
    return parser


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count(text: str) -> int:
    """Return a number of processes.

    Raises:
        ArgumentTypeError: it is not a number of processes.
    """
    if not (text.isascii() and text.isdigit() and int(text) <= MOST):
        raise argparse.ArgumentTypeError(f"write a whole number from 0 to {MOST}, not {text!a}")
    return int(text)


def _worker(text: str) -> WorkerArgument:
    return WorkerArgument(*map(int, text.split(":")))
