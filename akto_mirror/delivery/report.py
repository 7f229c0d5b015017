"""Logs the delivery: the first of several failures, reminders from time to time, and the recovery."""

from __future__ import annotations

import logging
from collections.abc import Callable

from akto_mirror import counts
from akto_mirror.accounts import Stats
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.symptoms import Kind

logger = logging.getLogger(__name__)

# Minimum seconds between two lines about the same lasting problem, about one that recurs, and about different ones.
SAME_EVERY_S = 300.0
NEW_EVERY_S = 30.0
OTHER_EVERY_S = 1.0


def is_round(count: int) -> bool:
    """Return whether a count is 1, 10, 100 and so on, at which something is logged again."""
    return str(count).rstrip("0") == "1"


class Report:
    """Writes to the log, at a limited rate.

    Args:
        stats: the counts that are logged with a failure.
        where: returns where entries wait meanwhile.
    """

    def __init__(self, stats: Stats, where: Callable[[], str]) -> None:
        self._stats = stats
        self._where = where
        self._kind: Kind | None = None
        self._logged_at = float("-inf")
        self._failing = False
        self._rejected_at = float("-inf")
        self._rejected = 0

    def failed(self, kind: Kind, result: SendResult, now: float) -> None:
        """Log a failed attempt; a refused token or a configuration error is logged once until an attempt succeeds."""
        if now - self._logged_at < self._pause(kind):
            return
        self._failing, self._kind, self._logged_at = True, kind, now
        logger.warning(
            "akto: cannot deliver: %s; entries wait %s and are sent later (%s)",
            result.explained,
            self._where(),
            self._stats.snapshot(),
        )

    def shipped(self, count: int, size: int, seconds: float) -> None:
        """Log a batch that was accepted."""
        if self._failing:
            self._failing, self._kind = False, None
            logger.info("akto: sending works again")
        logger.info("akto: sent %s (%d bytes) in %d ms", counts.count(count, "entry"), size, 1000 * seconds)

    def rejected(self, reason: str, now: float) -> None:
        """Log an entry that was refused for good."""
        self._rejected += 1
        if now - self._rejected_at >= NEW_EVERY_S:
            refused = f"{counts.count(self._rejected, 'entry')} {counts.verb(self._rejected, 'was')}"
            logger.warning("akto: %s refused for good; the last: %s", refused, reason)
            self._rejected, self._rejected_at = 0, now

    def _pause(self, kind: Kind) -> float:
        if self._kind is None:
            return NEW_EVERY_S
        if kind is not self._kind:
            return OTHER_EVERY_S
        return SAME_EVERY_S if kind is Kind.TRANSIENT else float("inf")
