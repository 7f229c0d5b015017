"""Lists the code of mitmproxy that the runner replaces, and checks that it is a known version."""

from __future__ import annotations

import functools
import hashlib
import inspect
from typing import Any

from mitmproxy import addonmanager, hooks, http, optmanager

# Replaced code, and code that the replacements rely on: identical in every release from 11.0.2 to 12.3.1.
REPLACED: tuple[Any, ...] = (
    addonmanager.AddonManager,
    addonmanager.cut_traceback,
    addonmanager.safecall,
    addonmanager.traverse,
    hooks.Hook.args,
    http.MessageData,
    optmanager._Option,
    optmanager.OptManager.__getattr__,
)

KNOWN = "ce6942c1d0760ff4ed8724500f9b802fc209d5420ac2bd425d1bdfea52dda890"


@functools.cache
def is_known() -> bool:
    """Return whether that code is identical in the installed mitmproxy."""
    return digest() == KNOWN


def digest() -> str:
    """Return the digest of that code; empty if its source is not available."""
    try:
        source = "\n".join(map(inspect.getsource, REPLACED))
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(source.encode()).hexdigest()
