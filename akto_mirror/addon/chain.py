"""Places in mitmproxy's chain of addons, whose hooks are called in its order.

The chain is replaced by a new list, since the old one may just be walked through.
"""

from __future__ import annotations

from mitmproxy.addonmanager import AddonManager


def stand_first(addons: AddonManager, addon: object) -> None:
    """Put an addon before all others, scripts that were loaded earlier included."""
    addons.chain = [addon, *addons.chain]


def stand_last(addons: AddonManager, addon: object) -> None:
    """Put an addon behind all others, mitmproxy's own included."""
    addons.chain = [*addons.chain, addon]


def stand_back(addons: AddonManager, addon: object) -> None:
    """Take an addon out of the chain."""
    addons.chain = [other for other in addons.chain if other is not addon]
