"""Reports of workers."""

from __future__ import annotations

from akto_mirror.accounts import Stats
from akto_mirror.outcomes import Dropped, Reason
from akto_mirror.telemetry.pool import Report


def report() -> Report:
    """A report in which every kind of count occurs."""
    stats = Stats()
    stats.capture()
    stats.skip(Reason.STATUS)
    stats.lose(Dropped.QUEUE_FULL)
    return Report(stats.snapshot(), 3, 0.5)
