"""A worker's report, for tests of its way to the parent."""

from __future__ import annotations

from akto_mirror.accounts import Stats
from akto_mirror.outcomes import Dropped, Format, Reason, Repair, Secret
from akto_mirror.snapshots import Account, Endpoint, Report, Takeover


def report() -> Report:
    """Return a report that has every kind of count."""
    stats = Stats()
    stats.capture()
    stats.skip(Reason.STATUS)
    stats.lose(Dropped.QUEUE_FULL)
    stats.repair([Repair("request", Format.JSON)])
    stats.hide([Secret("name", "password", 2)])
    stats.take_over([Takeover(1.5, 7, 20)])
    sampling = Account([(Endpoint("a", "GET", "/x", "2"), 3)], left_out=4, endpoints=1, forgotten=0, size=100)
    return Report(stats.snapshot(), 3, 0.5, sampling)
