"""Shared by all commands: lines on standard output, and errors that users can correct."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

URL_VARIABLE = "AKTO_DATA_INGESTION_URL"
TOKEN_VARIABLE = "AKTO_API_TOKEN"  # noqa: S105 - the variable's name
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
WAIT_SECONDS = 1.0


class UserError(Exception):
    """A command fails for a reason that the user can correct; the text says what to do."""

    exit_code = 1


class UsageError(UserError):
    """The command line is wrong; the text says what to change."""

    exit_code = 2


def say(line: str = "") -> None:
    """Write one line to standard output at once; characters that it cannot encode are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError:
        # The reader has gone or the disk is full: continue silently, as the documentation of `signal` shows.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_token(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the option --token, whose default is an environment variable."""
    default = f"default: ${TOKEN_VARIABLE}, which other users of the machine cannot see in the process list"
    parser.add_argument("--token", help=f"{text} ({default})")


def token(args: argparse.Namespace) -> str:
    """Return the token from the command line or the environment.

    Raises:
        UsageError: If it is not allowed in a header.
    """
    text: str = os.environ.get(TOKEN_VARIABLE, "") if args.token is None else args.token
    if not (text.isascii() and text.isprintable()):
        raise UsageError(
            f"the token (--token or {TOKEN_VARIABLE}) contains a character that is not allowed in a header; "
            "is there a line break at its end?"
        )
    return text


def wait_for(stop: threading.Event) -> None:
    """Wait in steps: on Windows, no signal is handled during a wait (python/cpython#80116)."""
    while not stop.wait(WAIT_SECONDS):
        pass


def addon_path() -> Path:
    """Find the installed script without running it.

    Raises:
        UserError: If it is not installed.
    """
    spec = find_spec("akto_addon")
    if spec is None or spec.origin is None:
        raise UserError("akto_addon.py is not installed; reinstall with: pip install --force-reinstall akto-mirror")
    return Path(spec.origin).absolute()
