"""Counts of hashes, in a fixed number of bytes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.sampling.recurrence import Recurrence


@given(st.lists(st.integers(0, 2**64 - 1), max_size=100))
def test_it_never_counts_too_few(values: list[int]) -> None:
    """Counts are never too low, even with collisions."""
    recurrence, counts = Recurrence(1_000), dict[int, int]()
    for value in values:
        counts[value] = counts.get(value, 0) + 1
        assert recurrence.count(value) >= counts[value]


def test_what_comes_once_is_hardly_ever_taken_for_what_comes_back() -> None:
    """Of a million different hashes in 1 MiB, hardly any is counted as recurring."""
    recurrence, draw = Recurrence(2**20), random.Random(1)
    assert sum(recurrence.count(draw.getrandbits(64)) >= 5 for _ in range(1_000_000)) <= 20


def test_what_comes_back_is_found_in_a_flood() -> None:
    """A recurring hash is counted even with ten thousand others in between."""
    recurrence, draw = Recurrence(2**20), random.Random(1)
    counts = []
    for _ in range(5):
        counts.append(recurrence.count(42))
        for _ in range(10_000):
            recurrence.count(draw.getrandbits(64))
    assert counts == [1, 2, 3, 4, 5]


def test_it_goes_on_for_ever() -> None:
    """A full counter starts again, and counts are bounded."""
    recurrence = Recurrence(2_000)
    assert max(recurrence.count(7) for _ in range(10_000)) == 255
