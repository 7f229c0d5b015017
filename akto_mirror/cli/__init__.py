"""The command line `akto-mirror`: arguments and exit codes; the logic is in other packages."""

from akto_mirror.cli.program import main

__all__ = ["main"]
