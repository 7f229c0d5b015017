"""Token buckets, which cap rates per second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.sampling.buckets import Bucket


def test_no_rate_means_no_cap() -> None:
    """A rate of 0 means no cap."""
    bucket = Bucket(0)
    for _ in range(1_000):
        assert bucket.has(0.0, is_new=False)
        bucket.take(10**9)


@given(st.integers(1, 100), st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=300))
def test_no_more_passes_than_the_rate_allows(rate: int, offers: list[tuple[float, bool]]) -> None:
    """At most two seconds' worth passes at once, then the rate, and one exchange that overdraws."""
    bucket, now, passed = Bucket(rate), 0.0, 0
    for pause, is_new in offers:
        now += pause
        if bucket.has(now, is_new=is_new):
            bucket.take(1)
            passed += 1
    assert passed <= 2 * rate + rate * now + 1


def test_what_is_new_goes_before_what_is_known() -> None:
    """Known exchanges use only half of the bucket."""
    bucket = Bucket(10)
    while bucket.has(0.0, is_new=False):
        bucket.take(1)
    left = 0
    while bucket.has(0.0, is_new=True):
        bucket.take(1)
        left += 1
    assert left == 10


def test_a_clock_that_is_set_back_starts_again() -> None:
    """A small step back, as in recordings, adds nothing; after a large one the bucket starts again."""
    bucket = Bucket(1)
    assert bucket.has(100.0, is_new=True)
    bucket.take(2)
    for _ in range(5):
        assert not bucket.has(99.0, is_new=True)
        assert not bucket.has(100.0, is_new=True)
    assert not bucket.has(0.0, is_new=True)
    assert bucket.has(1.5, is_new=True)
