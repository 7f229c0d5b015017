"""Our own options of `akto-mirror run`; all others are mitmdump's."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

PROGRAM = "akto-mirror run"

CHECKS = (
    "keep mitmproxy's type check of each message, which finds mistakes of scripts that make messages by hand and takes "
    "a tenth of mitmdump's time"
)


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add our own options to a parser."""
    parser.add_argument("--checks", action="store_true", help=CHECKS)


def divide(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Part what stands after `run`.

    Args:
        words: the arguments after `run`.

    Returns:
        Our options, and mitmdump's arguments as they were. What stands after `--` is mitmdump's.
    """
    end = words.index("--") if "--" in words else len(words)
    own, theirs = _parser().parse_known_args(words[:end])
    return own, [*theirs, *words[end:]]


def help_text() -> str:
    """Return what mitmdump's help adds at its end."""
    options = (action for action in _parser()._actions if action.option_strings)
    return f"{PROGRAM} itself takes " + "; ".join(f"{', '.join(each.option_strings)}: {each.help}" for each in options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    add_to(parser)
    return parser
