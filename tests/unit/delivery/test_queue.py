"""Delivery contract, line 2: the queue's bound is a bound on memory."""

from __future__ import annotations

import threading
import time
import tracemalloc

import pytest

from akto_mirror.akto_api import Entry
from akto_mirror.capture.encoding import encode
from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.queue import ENTRY_OVERHEAD, Queue
from akto_mirror.outcomes import Dropped
from tests.support.memory import traced_bytes

LIMITS = Limits(100, 1_000_000, 1.0)


def made(size: int) -> bytes:
    """Encode an entry with a response payload of this size."""
    texts = dict.fromkeys(Entry.__struct_fields__, "x")
    return encode(Entry(**texts | {"responsePayload": "x" * size}))


@pytest.mark.parametrize("size", [0, 7, 200, 700, 5_000, 65_536])
def test_an_entry_costs_what_it_holds(size: int) -> None:
    """Line 2: the allocated memory is at most the queue's size, and at least four fifths of it."""
    queue = Queue(4_000_000, LIMITS)
    tracemalloc.start()
    try:
        before = traced_bytes()
        now = 0.0
        while queue.refusal(len(one := made(size))) is None:
            queue.put(one, now := now + 0.5)
        del one
        after = traced_bytes()
    finally:
        tracemalloc.stop()
    assert 0.8 * queue.size <= after - before <= queue.size + 4096


def test_the_bound_is_kept_to_the_byte() -> None:
    """Line 2: an entry that fits exactly is accepted, and one with one byte more is not."""
    queue = Queue(2 * (100 + ENTRY_OVERHEAD), LIMITS)
    assert queue.refusal(100) is None
    queue.put(b"x" * 100, 0.0)
    assert queue.refusal(101) is Dropped.QUEUE_FULL
    assert queue.refusal(100) is None
    queue.put(b"x" * 100, 0.0)
    assert queue.size == queue.limit
    assert queue.refusal(0) is Dropped.QUEUE_FULL


def filled(*times: float) -> Queue:
    """Return a queue with an entry for each time, in batches of two."""
    queue = Queue(4_000_000, Limits(2, 1_000_000, 1.0))
    for moment in times:
        queue.put(b"x", moment)
    return queue


def test_what_is_left_is_as_old_as_before() -> None:
    """Line 12: taking a batch does not change the age of the other entries."""
    queue = filled(10.0, 20.0, 30.0)
    assert queue.since() == 10.0
    assert queue.take().since == 10.0
    assert queue.since() == 30.0
    assert queue.due_in(30.25) == 0.75
    queue.take()
    assert queue.since() == queue.due_in(99.0) == float("inf")


def test_what_is_put_back_is_as_old_as_before() -> None:
    """Line 12: a batch that is put back keeps its age, and so do the entries after it."""
    queue = filled(10.0, 20.0, 30.0)
    queue.put_back(queue.take())
    assert queue.since() == 10.0
    assert queue.take().entries == [b"x", b"x"]
    assert queue.since() == 30.0


def test_after_the_end_nothing_waits() -> None:
    """Line 12: after the queue is shut, no entry waits in it."""
    queue = filled(10.0, 20.0)
    assert [batch.entries for batch in queue.shut()] == [[b"x", b"x"]]
    assert queue.since() == float("inf")


def test_the_taker_is_woken_where_there_is_news() -> None:
    """An event before a wait ends it at once, and only once, so that none is missed."""
    queue = filled()
    queue.put(b"x", 0.0)
    queue.wait(float("inf"))
    began = time.monotonic()
    queue.wait(0.05)
    assert time.monotonic() - began >= 0.04
    queue.put(b"x", 0.0)  # This fills the batch.
    queue.wait(float("inf"))
    waker = threading.Thread(target=queue.flush)
    waker.start()
    queue.wait(float("inf"))
    waker.join()
