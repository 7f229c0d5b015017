"""Starts mitmdump as mitmproxy does, with our master and our script."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mitmproxy import options
from mitmproxy.tools import cmdline, main

from akto_mirror.runner import arguments, master, several


def run(words: Sequence[str], script: Path) -> None:
    """Run mitmdump with the addon loaded.

    Args:
        words: the arguments after `run`.
        script: the script that loads the addon.

    Raises:
        SystemExit: when mitmdump exits, with its code.
    """
    own, theirs = arguments.divide(words)
    size = own.processes or arguments.cores()
    if size > 1 and own.akto_worker is None:
        sys.exit(several.supervise(size, [*(["--checks"] if own.checks else []), *theirs]))
    if not own.checks:
        master.leave_out_checks()
    write_at_once()
    worker = None if own.akto_worker is None else several.join(own.akto_worker)
    # mitmproxy looks there for options of older versions, and for the program's name in error messages.
    sys.argv = [arguments.PROGRAM, *theirs]
    start = partial(master.RunMaster, script=script, worker=worker)
    main.run(start, parser, theirs, filters)  # type: ignore[arg-type]  # Whatever makes a master will do.


def write_at_once() -> None:
    """Write each log line to a file or a pipe at once; Python would buffer 8 KiB."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def parser(given: options.Options) -> argparse.ArgumentParser:
    """Return mitmdump's parser with our own options in its help."""
    theirs: argparse.ArgumentParser = cmdline.mitmdump(given)
    theirs.epilog = arguments.help_text()
    return theirs


def filters(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that mitmdump sets for a filter on the command line (mitmproxy/tools/main.py)."""
    if not args.filter_args:
        return {}
    text = " ".join(args.filter_args)
    return {"save_stream_filter": text, "readfile_filter": text, "dumper_filter": text}
