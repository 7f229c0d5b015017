"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import functools
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import bodies, delivery, instructions, outage, redaction, sampling, sizing, sse, steady, throughput
from benchmarks.workerd import Rig

SCRIPT = "throughput: another version of akto_addon.py, measured in the place of one POST a flow"
RIG = "throughput: a script that runs Akto's Worker in workerd, as a mode of its own; left out if it is not there"
MODULES = "throughput: the folder whose node_modules has Miniflare, for --rig (default: %(default)s)"

SECTIONS = (
    "throughput",
    "instructions",
    "sizing",
    "steady",
    "bodies",
    "sse",
    "outage",
    "sampling",
    "delivery",
    "redaction",
)

HEADING = "### "

START, END = "<!-- bench -->", "<!-- /bench -->"


def main() -> None:
    """Run the selected benchmarks and print Markdown tables."""
    args = _parse(sys.argv[1:])
    # Treated as an interrupt, so that the target, the ingestion service and the proxies end as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sections: dict[str, Callable[[], str]] = {
        "throughput": lambda: throughput.report(args.rounds, args.requests, dict(args.script), _rig(args)),
        "instructions": lambda: instructions.report(args.counted),
        "sizing": lambda: sizing.report(args.requests),
        "steady": lambda: steady.report(args.steadily),
        "bodies": lambda: bodies.report(args.megabytes),
        "sse": lambda: sse.report(args.streams, args.seconds),
        "outage": lambda: outage.report(args.turns, args.burst),
        "sampling": lambda: sampling.report(args.exchanges),
        "delivery": delivery.report,
        "redaction": lambda: redaction.report(args.compared),
    }
    wanted = [measure() for name, measure in sections.items() if args.what in (name, "all")]
    text = "\n\n".join(wanted) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text)
    if args.into:
        args.into.write_text(between_marks(args.into.read_text(), text))


def between_marks(document: str, text: str) -> str:
    """Replace the sections between the document's marks by title, and append new ones.

    Raises:
        ValueError: the document has no marks.
    """
    before, start, rest = document.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the file has no {START} and {END}")
    kept = _sections(rest.partition(END)[0]) | _sections(text)
    together = "\n\n".join(kept.values())
    return f"{before}{start}\n{together}\n{end}{after}"


def _sections(text: str) -> dict[str, str]:
    """Return the sections by title."""
    parts = [HEADING + part.strip() for part in f"\n{text}".split(f"\n{HEADING}")[1:]]
    return {part.partition("\n")[0]: part for part in parts}


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = functools.partial(parser.add_argument, type=_positive)
    parser.add_argument("what", nargs="?", default="all", choices=[*SECTIONS, "all"])
    add("--rounds", default=12, help="throughput: how often each mode gets a fresh process (default: %(default)s)")
    add(
        "--requests",
        default=2000,
        help="throughput: requests a mode in a round; sizing: a run (default: %(default)s)",
    )
    add("--counted", default=200, help="instructions: requests whose instructions are counted (default: %(default)s)")
    add("--steadily", default=300_000, help="steady: requests (default: %(default)s)")
    add("--megabytes", nargs="+", default=[10, 200], help="bodies: sizes (default: 10 200)")
    add("--streams", default=1000, help="sse: how many at once (default: %(default)s)")
    add("--seconds", default=20, help="sse: how long (default: %(default)s)")
    add("--turns", default=24, help="outage: bursts to each proxy (default: %(default)s)")
    add("--burst", default=3000, help="outage: requests of a burst (default: %(default)s)")
    add("--exchanges", default=1_000_000, help="sampling: how many (default: %(default)s)")
    add("--compared", default=12, help="redaction: fresh processes of each version (default: %(default)s)")
    add("--script", type=_named, action="append", default=[], metavar="NAME=PATH", help=SCRIPT)
    add("--rig", type=Path, metavar="FILE.mjs", help=RIG)
    add("--modules", type=Path, default=Path(), metavar="DIR", help=MODULES)
    add("--out", type=Path, metavar="FILE.md", help="write the tables there, too")
    add("--into", type=_marked, metavar="FILE.md", help=f"replace the tables there between {START} and {END}")
    return parser.parse_args(argv)


def _rig(args: argparse.Namespace) -> Rig | None:
    if args.rig is None:
        return None
    rig = Rig(args.rig, args.modules)
    if missing := rig.missing():
        sys.stderr.write(f"Akto's Worker is left out: {missing}\n")
        return None
    return rig


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError("write a whole number from 1 on")
    return int(text)


def _marked(text: str) -> Path:
    """Check a file before anything is measured."""
    path = Path(text)
    try:
        between_marks(path.read_text(encoding="utf-8"), "")
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{error}; name a file that has both marks") from error
    return path


def _named(text: str) -> tuple[str, Path]:
    name, mark, path = text.partition("=")
    if not mark:
        raise argparse.ArgumentTypeError("write NAME=PATH of another akto_addon.py to compare with")
    return name, Path(path)


if __name__ == "__main__":
    main()
