"""Finds the script of a list that loads the addon."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

# Matches the script itself, a copy of it under any name, and a script that extends the addon.
_LOADS = re.compile(rb"^[ \t]*(?:from|import)[ \t]+akto_(?:mirror\.)?addon\b", re.MULTILINE)


def with_ours(listed: Sequence[str], ours: Path) -> list[str]:
    """Return a list of scripts that ends with ours if no script in the list loads the addon.

    A missing file is not added: while a package is being replaced, mitmproxy removes a missing script from its list.
    """
    is_there = any(loads_addon(script) for script in listed)
    return [*listed, *([] if is_there or not ours.is_file() else [str(ours)])]


def loads_addon(script: str) -> bool:
    """Return whether a script loads the addon: a second one of the same name would be an error."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        # As mitmproxy reads it.
        return _LOADS.search(Path(str(script).strip("'\" ")).expanduser().read_bytes()) is not None
    return False
