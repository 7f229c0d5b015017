"""`akto-mirror sink`: runs a local ingestion service."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from akto_mirror.cli.terminal import INTERRUPTS, UserError, add_token, say, token, wait_for
from akto_mirror.counts import count
from akto_mirror.escaping import isolated, printable

if TYPE_CHECKING:
    from akto_mirror.ingestion.arrivals import Answer, Store
    from akto_mirror.ingestion.service import Receiver

DEFAULT_PORT = 9091


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 means all addresses of this machine (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        help="port to listen on; 0 means any free port (default: %(default)s)",
    )
    add_token(parser, "the Authorization header to require, except at /healthCheck; empty: no authentication")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="also append entries to FILE, one JSON object per line; a new file is readable by its owner only",
    )
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="show no line for each batch, only one at the start and one at the end",
    )


def run(args: argparse.Namespace) -> int:
    """Run a local ingestion service.

    It responds as Akto's data-ingestion service does, with its limits and status codes. The newest 100,000 entries (at
    most 256 MiB) stay in memory. Their inventory is shown in a browser at the service's URL; without a token, only on
    this machine. Entries that Akto's runtime would drop or fail to parse are reported there and on exit, and marked in
    the file of --out.
    """
    receiver = _receiver(args)
    # Until here, Python's default handling of these signals is right.
    stop = threading.Event()
    for number in INTERRUPTS:
        signal.signal(number, lambda *_: stop.set())
    where = printable(str(args.out)) if args.out else "memory"
    say(f"listening on {receiver.url}; entries go to {where}; {_shown(args)}")
    wait_for(stop)
    receiver.stop()
    say(_summary(receiver.store))
    receiver.store.close()
    return 0


def _shown(args: argparse.Namespace) -> str:
    from akto_mirror.ingestion.access import is_loopback  # noqa: PLC0415 - costs start-up time

    if token(args) or is_loopback(args.host):
        return "open that address in a browser to look at them"
    return "to look at them in a browser, start it with a token, because other machines can connect to it"


def _receiver(args: argparse.Namespace) -> Receiver:
    from akto_mirror.ingestion.service import Receiver  # noqa: PLC0415 - costs start-up time

    report: Callable[[Answer], None] = (lambda _: None) if args.quiet else (lambda answer: say(_batch_line(answer)))
    try:
        receiver = Receiver(host=args.host, port=args.port, token=token(args), out=args.out, on_answer=report)
    except OSError as error:
        file = printable(str(args.out))
        raise UserError(f"cannot write {file}: {error.strerror}; name another file with --out") from error
    try:
        receiver.start()
    except OSError as error:
        where = f"port {args.port} on {printable(args.host)}"
        raise UserError(f"cannot listen on {where}: {error.strerror}; choose another with --port or --host") from error
    return receiver


def _batch_line(answer: Answer) -> str:
    taken = count(answer.taken, "entry")
    return f"{answer.status} {taken}" + (f"; refused: {isolated(printable(answer.reason))}" if answer.reason else "")


def _summary(store: Store) -> str:
    refused = [f"{number} with {status}" for status, number in sorted(store.answers.items()) if status != 200]
    entries, batches = count(store.total, "entry"), count(store.answers[200], "batch")
    return f"stopped: {entries} in {batches}; refused: {', '.join(refused) or 'none'}{store.lost()}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65_535):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)
