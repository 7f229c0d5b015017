"""Counts and bounds of several processes of one proxy."""

from __future__ import annotations

from akto_mirror import snapshots
from akto_mirror.accounts import Stats
from akto_mirror.config import options
from akto_mirror.outcomes import Dropped, Outcome, Reason
from akto_mirror.snapshots import Account, Endpoint, Report
from akto_mirror.telemetry import pool
from akto_mirror.telemetry.observation import observe, with_others
from akto_mirror.telemetry.pool import Alone


def stats(captured: int) -> Stats:
    """Return counts that all differ."""
    made = Stats()
    for _ in range(captured):
        made.capture()
    made.move([b"x"], Outcome.QUEUED, Outcome.IN_FLIGHT)
    made.move([b"x"] * 1, Outcome.IN_FLIGHT, Outcome.SHIPPED)
    made.attempt(0.0, [b"x" * 100], ok=True)
    made.skip(Reason.STATUS)
    made.lose(Dropped.QUEUE_FULL)
    return made


def test_one_process_is_alone() -> None:
    """A single process has no others to sum up, and logs its own last line."""
    assert isinstance(pool.current(), Alone)
    assert pool.current().sum_up(stats(1).snapshot()) is False
    assert list(pool.current().others()) == []
    (opened,) = pool.current().bind("127.0.0.1", 0)
    assert opened.getsockname()[1]
    opened.close()


def test_counts_add_up() -> None:
    """Counts are added kind by kind, and the sum accounts for all entries."""
    whole = snapshots.total([stats(3).snapshot(), stats(5).snapshot()])
    assert str(whole) == (
        "captured 10 = shipped 2 + queued 6 + spooled 0 + rejected 0 + dropped 2 (queue full 2); skipped 2 (status 2)"
    )
    assert (whole.missing, whole.sent_bytes, whole.batches) == (0, 200, 2)


def test_a_killed_process_loses_what_it_held_in_memory() -> None:
    """Entries in memory are lost, while those on disk are sent by the others."""
    killed = stats(5)
    killed.move([b"x"] * 2, Outcome.QUEUED, Outcome.SPOOLED)
    after = killed.snapshot().after_the_end(killed=True)
    assert (after.dropped[Dropped.KILLED], after.spooled, after.pending, after.missing) == (2, 2, 2, 0)


def test_metrics_are_of_all_processes() -> None:
    """The metrics have the sums of all processes, the greatest age and the whole bound."""
    own = observe(stats(2), None, 50, None, "")
    shown = with_others(own, 2, [Report(stats(3).snapshot(), 7, 12.5)])
    assert (shown.counts.captured, shown.queue_bytes, shown.queue_limit, shown.oldest_s) == (7, 7, 100, 12.5)


def test_sampling_is_of_all_processes() -> None:
    """Endpoints with the same name are merged, and the total includes those beyond a report's limit."""
    names = [Endpoint("a", "GET", f"/{number}", "2") for number in range(3)]
    accounts = [
        Account([(names[0], 5), (names[1], 4)], left_out=10, endpoints=2, forgotten=1, size=100),
        Account([(names[1], 3), (names[2], 1)], left_out=4, endpoints=2, forgotten=0, size=200),
    ]
    own = observe(stats(2), None, 50, None, "")._replace(sampling=accounts[0])
    found = with_others(own, 2, [Report(stats(3).snapshot(), 7, 12.5, accounts[1])]).sampling
    assert found == Account([(names[1], 7), (names[0], 5)], left_out=14, endpoints=4, forgotten=1, size=300)
    assert accounts[0].brief(9) == accounts[0]._replace(most=accounts[0].most[:1])


def test_bounds_are_divided() -> None:
    """No bound stays no bound, and a small bound is at least 1."""
    assert [options.divided(bound, 4) for bound in (0, 3, 400)] == [0, 1, 100]
