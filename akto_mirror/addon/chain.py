"""Moves addons to the front or the end of mitmproxy's chain, in whose order hooks are called.

The chain is replaced by a new list, because mitmproxy may be iterating over the old one.
"""

from __future__ import annotations

from mitmproxy.addonmanager import AddonManager


def stand_first(addons: AddonManager, addon: object) -> None:
    """Put an addon before all others, including scripts that were loaded earlier."""
    addons.chain = [addon, *addons.chain]


def stand_last(addons: AddonManager, addon: object) -> None:
    """Put an addon after all others, including mitmproxy's own."""
    addons.chain = [*addons.chain, addon]


def stand_back(addons: AddonManager, addon: object) -> None:
    """Remove an addon from the chain."""
    addons.chain = [other for other in addons.chain if other is not addon]
