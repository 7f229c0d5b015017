"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import throughput


def main() -> None:
    """Measure what was asked for and print Markdown tables."""
    args = _parse(sys.argv[1:])
    sections = []
    if args.what in ("throughput", "all"):
        sections.append(throughput.report(args.rounds, args.requests, dict(args.script)))
    text = "\n\n".join(sections) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=["throughput", "bodies", "sse", "all"])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the throughput (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=4000, help="requests a run (default: %(default)s)")
    parser.add_argument("--script", type=_named, action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the tables there, too")
    return parser.parse_args(argv)


def _named(text: str) -> tuple[str, Path]:
    name, mark, path = text.partition("=")
    if not mark:
        raise argparse.ArgumentTypeError("write NAME=PATH of another akto_addon.py to compare with")
    return name, Path(path)


if __name__ == "__main__":
    main()
