"""Delivery contract, line 2: the queue's bound is one of memory."""

from __future__ import annotations

import tracemalloc

import pytest

from akto_mirror import entry
from akto_mirror.batch import Limits
from akto_mirror.entry import Entry
from akto_mirror.queue import ENTRY_OVERHEAD, Queue
from akto_mirror.stats import Dropped

LIMITS = Limits(100, 1_000_000, 1.0)


def made(size: int) -> bytes:
    """Encode an entry as the addon does."""
    texts = dict.fromkeys(Entry.__struct_fields__, "x")
    return entry.encode(Entry(**texts | {"responsePayload": "x" * size}))


@pytest.mark.parametrize("size", [0, 7, 200, 700, 5_000, 65_536])
def test_an_entry_costs_what_it_holds(size: int) -> None:
    """Line 2: what Python's allocator gives out for a full queue is what the queue counts, and at most a fifth less."""
    queue = Queue(4_000_000, LIMITS)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        while queue.refusal(len(one := made(size))) is None:
            queue.put(one, 0.0)
        del one
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.8 * queue.size <= after - before <= queue.size + 4096


def test_the_bound_is_kept_to_the_byte() -> None:
    """Line 2: what fits exactly is taken, and one byte more is not."""
    queue = Queue(2 * (100 + ENTRY_OVERHEAD), LIMITS)
    assert queue.refusal(100) is None
    queue.put(b"x" * 100, 0.0)
    assert queue.refusal(101) is Dropped.QUEUE_FULL
    assert queue.refusal(100) is None
    queue.put(b"x" * 100, 0.0)
    assert queue.size == queue.limit
    assert queue.refusal(0) is Dropped.QUEUE_FULL
