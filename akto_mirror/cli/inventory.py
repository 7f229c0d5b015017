"""The arguments of `akto-mirror inventory`, separate from its implementation so that help is shown at once."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="files of entries (one JSON object per line), flow files (mitmdump -w, mitmweb) and HAR files",
    )
    parser.add_argument("--openapi", action="store_true", help="write an OpenAPI 3.1 document instead of a list")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write it to FILE: as JSON if its name ends in .json, else as YAML",
    )
    parser.add_argument("--host", default="", help="only the endpoints of this host, with its port if it has one")
    parser.add_argument("--no-examples", action="store_true", help="leave examples of payloads out of the document")
    parser.add_argument(
        "--base",
        type=Path,
        metavar="FILE",
        help="show what is new, changed and gone, compared with this OpenAPI document; exit code 1 if anything differs",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="any akto_ option, as for mitmdump, for flow files and HAR files; may be given several times",
    )


def run(args: argparse.Namespace) -> int:
    """List the endpoints found in recorded files, or describe them in OpenAPI.

    The document has path templates, typed parameters, request and response schemas merged over all samples, security
    schemes and examples; queries are always read. Nothing is sent. Exit code 1 if something differs from --base (shown
    on standard output), or if a file cannot be read (one line on standard error, nothing on standard output).
    """
    from akto_mirror.cli import inventory_report  # noqa: PLC0415 - see the module's docstring

    return inventory_report.run(args)
