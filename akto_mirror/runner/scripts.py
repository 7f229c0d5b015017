"""Which script of a list loads the addon."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path


def with_ours(listed: Sequence[str], ours: Path) -> list[str]:
    """Return a list of scripts, at whose end stands ours if no script of the list is it.

    A missing file is not added: where a package is being replaced, mitmproxy takes a script that has gone off its list.
    """
    is_there = any(is_ours(script, ours) for script in listed)
    return [*listed, *([] if is_there or not ours.is_file() else [str(ours)])]


def is_ours(script: str, ours: Path) -> bool:
    """Tell whether a script is our file, or a copy of some version of it: a file of that name that loads the addon."""
    path = Path(str(script).strip("'\" ")).expanduser()  # As mitmproxy reads it.
    with contextlib.suppress(OSError, RuntimeError):
        return path.samefile(ours) or (path.name == ours.name and b"akto_mirror" in path.read_bytes())
    return False
