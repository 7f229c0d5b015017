"""The entries of a batch."""

from __future__ import annotations

import json
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.akto_api import MAX_ENTRY_BYTES, batch_body
from akto_mirror.config.declarations import OPTIONS
from akto_mirror.delivery import batch
from akto_mirror.delivery.batch import Limits
from akto_mirror.ingestion import intake


def test_a_body_is_one_json_document_of_what_was_given() -> None:
    """Entries are joined unchanged and in order."""
    assert batch_body([b'{"a":1}', b'{"b":2}']) == b'{"batchData":[{"a":1},{"b":2}]}'


@pytest.mark.parametrize(
    ("count", "size", "full"), [(0, 0, False), (9, 99, False), (10, 0, True), (1, 100, True), (11, 101, True)]
)
def test_entries_or_bytes_fill_a_batch(count: int, size: int, full: bool) -> None:
    """A batch is full at the first limit that it reaches."""
    assert batch.is_full(count, size, Limits(10, 100, 1.0)) is full


def test_one_entry_over_the_limit_still_goes_out() -> None:
    """An entry over the limit is sent alone."""
    queue = deque([b"x" * 1000, b"y"])
    assert batch.take(queue, Limits(10, 100, 1.0)) == [b"x" * 1000]
    assert list(queue) == [b"y"]


@given(
    st.lists(st.integers(0, 60).map(lambda n: json.dumps("x" * n).encode()), min_size=1, max_size=30),
    st.integers(1, 12),
    st.integers(1, 200),
)
def test_batches_are_as_large_as_the_limits_allow(entries: list[bytes], count: int, size: int) -> None:
    """Line 5: batches keep the order and are as large as the limits allow; only a single entry may exceed them."""
    queue, limits, taken = deque(entries), Limits(count, size, 0.0), []
    while queue:
        part = batch.take(queue, limits)
        assert 1 <= len(part) <= count
        assert len(part) == 1 or len(batch_body(part)) <= size
        assert not queue or len(part) == count or len(batch_body([*part, queue[0]])) > size
        assert len(json.loads(batch_body(part))["batchData"]) == len(part)
        taken += part
    assert taken == entries


def test_no_limit_allows_more_than_the_service_takes() -> None:
    """Line 5: for any options, bodies, arrays and strings stay within the limits of Akto's service."""
    bounds = {option.name: option.bounds for option in OPTIONS}
    assert bounds["akto_batch_bytes"] == (1, 8 * 1024 * 1024)
    assert bounds["akto_batch_entries"] == (1, intake.MAX_ARRAY_ITEMS)
    assert intake.MAX_BODY_CHARS > 8 * 1024 * 1024
    assert MAX_ENTRY_BYTES < intake.MAX_STRING_CHARS


@given(st.lists(st.binary(max_size=3), min_size=2, max_size=20), st.integers(2, 20))
def test_parts_of_a_batch_are_all_of_it(entries: list[bytes], count: int) -> None:
    """Parts have about the same size, none is empty, and together they are the batch."""
    count = min(count, len(entries))
    parts = batch.split(entries, count)
    assert [entry for part in parts for entry in part] == entries
    assert len(parts) == count
    assert {len(part) for part in parts} <= {len(entries) // count, -(-len(entries) // count)}
