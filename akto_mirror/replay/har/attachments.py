"""Reads bodies in separate files, as Playwright's `content: attach` writes them, from a folder or an archive.

A HAR file is not trusted, so it can only refer to regular files in its own folder or archive: no paths, no links, and
no names that begin with a dot.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Protocol

# The most bytes that are read of one file; more than the largest akto_body_limit.
MAX_ATTACHED = 32 * 1024 * 1024

LONGEST_NAME = 255


class AttachmentError(Exception):
    """A file cannot be read; the text says why, without its name."""


class Attachments(Protocol):
    """The source of the bodies that a HAR file refers to."""

    def read(self, name: str) -> bytes:
        """Return the first bytes of a file.

        Raises:
            AttachmentError: it is not there, or cannot be read.
        """


def check_name(name: str) -> None:
    """Refuse anything but a bare file name.

    Raises:
        AttachmentError: it is anything else.
    """
    if (
        not name
        or name.startswith(".")
        or len(name) > LONGEST_NAME
        or not name.isprintable()
        or set(name) & set("/\\:")
    ):
        raise AttachmentError("only files beside the HAR file are read, by their bare names")


class Beside:
    """Files in the folder of a HAR file.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes:
        """Return the first bytes of a file, see `Attachments`."""
        check_name(name)
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            with open(os.open(self._folder / name, flags), "rb") as file:  # noqa: PTH123 - pathlib follows links
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise AttachmentError("it is not a regular file")
                return file.read(MAX_ATTACHED)
        except FileNotFoundError as error:
            raise AttachmentError("it is not beside the HAR file") from error
        except OSError as error:
            raise AttachmentError(error.strerror or str(error)) from error
