"""Features that are remembered of endpoints, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.sampling.features import Shown
from akto_mirror.sampling.novelty import FEATURE_BYTES, MAX_FEATURES, RECORD_BYTES, RETURNS, Novelty, Record
from akto_mirror.sampling.recurrence import Recurrence
from akto_mirror.snapshots import Endpoint
from tests.support.memory import traced_bytes


def endpoint(number: int) -> Endpoint:
    """Return the endpoint with this number."""
    return Endpoint("api.example", "GET", f"/collection/{number}/items", "2")


def shown(features: Iterable[int]) -> Shown:
    """Return an exchange with these features."""
    return Shown(tuple(features), ())


def recurrence() -> Recurrence:
    """Return counts for endpoints with too many features."""
    return Recurrence(100_000)


@given(st.lists(st.sets(st.integers(-(2**63), 2**63 - 1), max_size=8), max_size=20))
def test_a_feature_is_new_exactly_once(exchanges: list[set[int]]) -> None:
    """A feature is new until it is learnt, and known from then on."""
    record, counts, learnt = Record(), recurrence(), set[int]()
    for features in exchanges:
        expected = {feature % 2**64 for feature in features}
        fresh = record.unknown(features, counts)
        assert set(fresh) == expected - learnt
        assert len(set(fresh)) == len(fresh)
        record.learn(fresh)
        learnt |= expected


def test_of_too_many_features_only_those_that_come_back_are_new() -> None:
    """Invented names are not sent forever, and features that come back are still found."""
    record, counts = Record(), recurrence()
    record.learn(record.unknown(range(MAX_FEATURES - 1), counts))
    assert record.unknown([10**6], counts) == [10**6]
    flood = iter(range(10**7, 10**7 + 20_000))
    assert sum(bool(record.unknown([each, next(flood)], counts)) for each in flood) <= 10
    looks = [record.unknown([10**6], counts) for _ in range(RETURNS)]
    assert looks == [[]] * (RETURNS - 1) + [[10**6]]
    record.learn([10**6])
    assert record.unknown([10**6], counts) == []
    assert record.size <= MAX_FEATURES * FEATURE_BYTES


def test_a_record_has_a_bound_whatever_comes_at_once() -> None:
    """A record is bounded, even if one exchange has more features than fit."""
    record = Record()
    record.learn(range(3 * MAX_FEATURES))
    assert record.size == MAX_FEATURES * FEATURE_BYTES
    record.learn(range(10**6, 10**6 + MAX_FEATURES))
    assert record.size == MAX_FEATURES * FEATURE_BYTES


def filled(novelty: Novelty, endpoints: int) -> None:
    """Add this many endpoints with 20 features each."""
    for number in range(endpoints):
        record = novelty.add(endpoint(number))
        features = (hash((number, each)) for each in range(20))
        novelty.learn(endpoint(number), record, novelty.unknown(record, shown(features)))


def test_20_000_endpoints_of_20_features_fit() -> None:
    """They fit into the endpoints' three quarters of 64 MiB, as counted by the store."""
    novelty = Novelty(48 * 2**20)
    filled(novelty, 20_000)
    assert (novelty.forgotten, len(novelty)) == (0, 20_000)
    assert novelty.size <= 48 * 2**20


def test_what_is_counted_is_what_is_taken() -> None:
    """As measured by the interpreter, the count is at least the memory in use, and at most twice as much."""
    novelty = Novelty(2**22)
    tracemalloc.start()
    before = traced_bytes()
    filled(novelty, 2_000)
    taken = traced_bytes() - before
    tracemalloc.stop()
    assert taken <= novelty.size <= 2 * taken


def test_a_flood_leaves_the_endpoints_that_are_in_use() -> None:
    """Endpoints that were seen once are forgotten before those seen twice, and the bound always holds."""
    novelty = Novelty(200_000)
    used = [endpoint(number) for number in range(50)]
    for each in used:
        novelty.add(each)
        novelty.find(each)
    for number in range(1_000, 11_000):
        novelty.add(endpoint(number))
        assert novelty.size <= 200_000
    assert novelty.forgotten > 9_000
    assert all(novelty.find(each) is not None for each in used)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 200)), max_size=200))
def test_the_size_is_what_the_records_cost(visits: list[tuple[int, int]]) -> None:
    """After any operations the count is right, and within the limit except for one record."""
    novelty, limit = Novelty(8_000), 8_000
    for number, features in visits:
        key = endpoint(number)
        record = novelty.find(key) or novelty.add(key)
        novelty.learn(key, record, novelty.unknown(record, shown(range(features))))
        assert novelty.size <= limit + 8_000
    everything = [*novelty._protected.items(), *novelty._probation.items()]
    assert novelty.size == sum(RECORD_BYTES + sum(map(len, key)) + record.size for key, record in everything)


def test_the_most_left_out_come_first() -> None:
    """`akto.stats` and the metrics get the endpoints of which most was left out."""
    novelty = Novelty(10**6)
    for number in range(5):
        novelty.add(endpoint(number)).left_out = number
    assert novelty.most_left_out(2) == [(endpoint(4), 4), (endpoint(3), 3)]


def test_what_is_known_by_its_digest_is_new_again_when_it_was_forgotten() -> None:
    """An endpoint with too many features forgets half of them, and digests are forgotten with their features."""
    novelty = Novelty(10**6)
    record = novelty.add(endpoint(1))
    first = shown(range(10))
    novelty.learn(endpoint(1), record, novelty.unknown(record, first))
    assert novelty.unknown(record, first) == []
    assert novelty.unknown(record, first) == []
    for start in range(10, 10 * MAX_FEATURES, 100):
        novelty.learn(endpoint(1), record, list(range(start, start + 100)))
    assert any(novelty.unknown(record, first) for _ in range(RETURNS))
