"""Decides when a batch is due and which entries it contains. No clock and no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from akto_mirror.akto_api import BATCH_HEAD, BATCH_TAIL


class SpoolId(NamedTuple):
    """A batch on disk: which file it was stored in, by this process's count of files, and its id in that file."""

    file: int
    id: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Entries that are sent together.

    Attributes:
        entries: encoded, at least one.
        since: when the first of them arrived in the queue or in the spool, in monotonic seconds.
        spool_id: where the batch is on disk; None if it is in memory only.
    """

    entries: Sequence[bytes]
    since: float
    spool_id: SpoolId | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is sent when it has this many entries or bytes, or this many seconds after its first entry."""

    entries: int
    size: int
    linger_s: float


def is_full(count: int, size: int, limits: Limits) -> bool:
    """Return whether `count` waiting entries of `size` bytes in total fill a batch."""
    return count >= limits.entries or size >= limits.size


def take(queue: deque[bytes], limits: Limits) -> list[bytes]:
    """Remove the next batch from the queue: at least one entry, and no more than the limits allow."""
    batch = [queue.popleft()]
    size = len(BATCH_HEAD) + len(BATCH_TAIL) + len(batch[0])
    while queue and len(batch) < limits.entries:
        size += 1 + len(queue[0])
        if size > limits.size:
            break
        batch.append(queue.popleft())
    return batch


def split(entries: Sequence[bytes], count: int) -> list[Sequence[bytes]]:
    """Split a batch into parts of about the same size, none of which is empty."""
    bounds = [len(entries) * number // count for number in range(count + 1)]
    return [entries[start:end] for start, end in pairwise(bounds)]
