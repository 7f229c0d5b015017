"""What all commands have in common: lines on standard output, and errors that the user can put right."""

from __future__ import annotations

import os
import sys


class UserError(Exception):
    """Something that the person at the keyboard can put right; the text says what and how."""


def say(line: str = "") -> None:
    """Write one line to standard output at once; characters that it cannot show are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError:
        # Whoever read has gone, or the disk is full: go on in silence, as the signal module's documentation shows.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
