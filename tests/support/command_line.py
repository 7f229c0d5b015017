"""The command line `akto-mirror`, called in this process."""

from __future__ import annotations

from akto_mirror.cli import program


def exit_code(*argv: str) -> int:
    """Run a command and return its exit code, which argparse raises and the commands return."""
    try:
        return program.main(argv)
    except SystemExit as ended:
        return int(ended.code or 0)
