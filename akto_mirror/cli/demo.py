"""`akto-mirror demo`: shows what is mirrored, with a sample API."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable

from akto_mirror.cli.terminal import INTERRUPTS, UserError, addon_path, say, wait_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--open", action="store_true", help="at the end, show the inventory of what arrived in a browser"
    )


def run(args: argparse.Namespace) -> int:
    """Show what is mirrored, with a sample API.

    Starts the API, a local ingestion service and mitmdump between them, sends varied requests through, and shows what
    was mirrored, what was skipped and why.
    """
    from akto_mirror.demo import demo, proxy  # noqa: PLC0415 - costs start-up time

    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    look: Callable[[str], None] = _look if args.open else lambda _: None
    try:
        return 0 if demo.run(say, addon_path(), look) else 1
    except proxy.DemoError as error:
        raise UserError(str(error)) from error


def _look(url: str) -> None:
    """Open the inventory in a browser, and wait for Ctrl-C."""
    import webbrowser  # noqa: PLC0415 - costs start-up time

    try:
        say(f"\nThe inventory is at {url} until you press Ctrl-C.")
        if not webbrowser.open(url):
            say("No browser was found; open that URL in one yourself.")
        wait_for(threading.Event())
    except KeyboardInterrupt:
        say("stopped")


def _interrupt(*_: object) -> None:
    """Interrupt once; the clean-up that follows is short and must not be interrupted."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
