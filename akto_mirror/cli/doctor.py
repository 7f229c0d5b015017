"""`akto-mirror doctor`: gathers what a bug report needs."""

from __future__ import annotations

import argparse
import os

from akto_mirror.cli.terminal import addon_path, say, token
from akto_mirror.runner import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--to", default="", metavar="URL", help="the ingestion service to check (default: the configured one)"
    )
    parser.add_argument(
        "--processes",
        type=arguments.count,
        default=0,
        metavar="N",
        help="show how N processes of `akto-mirror run` divide the limits; 0 means one for each core (default: 0)",
    )
    parser.add_argument(
        "--token",
        default="",
        help="the service's token, sent as it is in the Authorization header and never shown (default: the configured "
        "one, in akto_token or else $AKTO_API_TOKEN)",
    )


def run(args: argparse.Namespace) -> int:
    """Gather what a bug report needs.

    Shows versions, the platform, the options of the environment and of mitmproxy's config.yaml, whether the addon
    loads, and the steps of `check`. Secrets are left out, but review the output before you paste it. Exit code 1 if
    something is wrong.
    """
    from akto_mirror.diagnostics import doctor  # noqa: PLC0415 - costs start-up time

    way, processes = doctor.Way(args.to, token(args)), args.processes or arguments.cores()
    return 0 if doctor.run(way, addon_path(), processes, say, os.environ) else 1
