"""`akto-mirror replay`: ships recorded flows."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from akto_mirror.cli.terminal import URL_VARIABLE, UsageError, add_token, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="flow files (mitmdump -w, mitmweb) and HAR files, plain or in gzip, zlib or zip; shipped in this order",
    )
    parser.add_argument(
        "--to",
        metavar="URL",
        help="the ingestion service, or file:///PATH.ndjson for a file of entries, as in akto_url "
        f"(default: ${URL_VARIABLE})",
    )
    add_token(parser, "the service's token, sent as it is in the Authorization header")
    parser.add_argument(
        "--filter",
        metavar="EXPRESSION",
        help="only flows that match this filter expression of mitmproxy, as in akto_filter",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="any akto_ option, as for mitmdump; may be given several times",
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="show the outcome that each flow would have, and send nothing"
    )
    parser.add_argument(
        "--rewrite-time",
        action="store_true",
        help="give each entry the time of its replay, instead of the recorded one; intervals are not preserved",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue where the same replay was interrupted or left entries unsent"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress bar")


def run(args: argparse.Namespace) -> int:
    """Ship recorded flows.

    Rules, entries and options are those of the addon. Exit code 0: everything was read and shipped. 1: something was
    not. 2: the command line is wrong. 130: interrupted; --resume continues there, and sends entries whose arrival was
    not confirmed again, so that they can arrive twice. Nothing is spooled, because the recording still exists.
    """
    from akto_mirror.replay import job, shipping  # noqa: PLC0415 - costs start-up time

    given = {"akto_url": args.to, "akto_token": args.token, "akto_filter": args.filter}
    try:
        todo = job.of(
            args.files,
            args.set,
            {name: value for name, value in given.items() if value is not None},
            os.environ,
            rewrite_time=args.rewrite_time,
            resume=args.resume,
        )
    except job.ConfigError as error:
        raise UsageError(str(error)) from error
    if not (todo.settings.sink.destination.url or args.dry_run):
        raise UsageError(f"give --to URL, set {URL_VARIABLE}, or look first with --dry-run")
    if len({path.resolve() for path in args.files}) < len(args.files):
        raise UsageError("a file is given twice")
    return shipping.run(todo, say, dry_run=args.dry_run, quiet=args.quiet)
