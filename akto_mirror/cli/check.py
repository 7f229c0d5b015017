"""`akto-mirror check`: verifies the connection to Akto."""

from __future__ import annotations

import argparse
import os

from akto_mirror.cli.terminal import URL_VARIABLE, UsageError, add_token, say, token
from akto_mirror.escaping import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    service = parser.add_mutually_exclusive_group()
    service.add_argument(
        "url", nargs="?", metavar="URL", help=f"the ingestion service, as in akto_url (default: ${URL_VARIABLE})"
    )
    service.add_argument("--to", metavar="URL", help="the same as URL, under the name that the other commands use")
    add_token(parser, "the service's token, sent as it is in the Authorization header")
    parser.add_argument(
        "--send", action="store_true", help="also send one clearly marked test entry, which stays in Akto"
    )
    parser.add_argument("--uds", default="", metavar="PATH", help="connect through this Unix socket, as akto_uds does")
    parser.add_argument(
        "--kafka",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a property of librdkafka for a kafka:// URL, as in akto_kafka; may be given several times",
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="time limit of each step (default: 10)"
    )
    parser.add_argument(
        "--spool-dir",
        default="",
        metavar="DIR",
        help="the spool's folder, as in akto_spool_dir (default: the user's own)",
    )


def run(args: argparse.Namespace) -> int:
    """Verify the connection to Akto.

    Resolves the host, connects, checks TLS, requests /healthCheck and /api/auth-check, checks that the spool's folder
    can be used, and says what to do about each step that fails. With a kafka:// URL: connects, checks TLS, SASL, the
    topic, its partitions, the permission to write and the maximum message size. Exit code 1 if a step failed.
    """
    from akto_mirror.delivery import destination  # noqa: PLC0415 - costs start-up time
    from akto_mirror.diagnostics import checks  # noqa: PLC0415

    url = args.url or args.to or os.environ.get(URL_VARIABLE, "")
    try:
        target = checks.target_at(url, args.kafka, os.environ, uds=args.uds, token=token(args), timeout=args.timeout)
    except ValueError as error:
        raise UsageError(f"{printable(destination.shown_url(url))}: {error}") from error
    if args.kafka and not isinstance(target, checks.KafkaTarget):
        raise UsageError("--kafka is for a kafka:// address")
    if target is None:
        raise UsageError(f"give a URL or set {URL_VARIABLE}")
    steps = [checks.show(step, say) for step in checks.run(target, send=args.send)]
    steps.append(checks.show(checks.spool_step(args.spool_dir, os.environ), say))
    return 0 if all(step.ok for step in steps) else 1


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("give seconds, more than 0 and at most 3600")
    return seconds
