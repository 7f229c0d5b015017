"""Collects what metrics and `akto.stats` show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from akto_mirror import snapshots
from akto_mirror.accounts import Stats
from akto_mirror.delivery import Shipper, view
from akto_mirror.snapshots import Account, Report, Snapshot


class Observation(NamedTuple):
    """The exported values.

    Attributes:
        counts: the outcomes of all flows.
        queue_bytes: bytes of memory that queued entries take.
        queue_limit: bytes that they may take.
        spool_bytes: bytes of waiting entries on disk, of all processes that share the spool; None without one.
        dead_bytes: bytes of entries on disk that were refused for good; None without a spool.
        oldest_s: age in seconds of the oldest entry that is not shipped, 0 if there is none. Entries on disk for an
            earlier `akto_url`, which are not being sent, do not count.
        sampling: what sampling has left out; None if it never sampled.
    """

    counts: Snapshot
    queue_bytes: int
    queue_limit: int
    spool_bytes: int | None
    dead_bytes: int | None
    oldest_s: float
    sampling: Account | None = None


def observe(stats: Stats, shipper: Shipper | None, queue_limit: int, folder: Path | None, target: str) -> Observation:
    """Collect everything, which can take a long time on a slow disk.

    Args:
        stats: the counts.
        shipper: the shipper; None in a dry run.
        queue_limit: bytes that the queue may hold.
        folder: the spool's folder; None if nothing goes to disk.
        target: the destination of the batches on disk that are being sent.
    """
    sizes = view.measure(folder, target) if folder else None
    ages = [shipper.oldest_s if shipper else 0.0]
    if sizes and sizes.oldest is not None:
        ages.append(time.time() - sizes.oldest)
    return Observation(
        counts=stats.snapshot(),
        queue_bytes=shipper.queue_bytes if shipper else 0,
        queue_limit=queue_limit,
        spool_bytes=sizes.waiting if sizes else None,
        dead_bytes=sizes.dead if sizes else None,
        oldest_s=max(ages),
    )


def with_others(own: Observation, size: int, others: Sequence[Report]) -> Observation:
    """Add what the other processes of the same proxy reported.

    Args:
        own: the values of this process; the sizes of the spool are already those of all processes.
        size: how many processes there are, each with the same share of the limit.
        others: their reports.
    """
    counts = snapshots.total([own.counts, *(each.counts for each in others)])
    return own._replace(
        counts=counts.settled() if others else counts,
        queue_bytes=own.queue_bytes + sum(each.queue_bytes for each in others),
        queue_limit=own.queue_limit * size,
        oldest_s=max([own.oldest_s, *(each.oldest_s for each in others)]),
        sampling=Account.total([own.sampling, *(each.sampling for each in others)]),
    )
