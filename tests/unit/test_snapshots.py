"""Sums of several processes' counts, in which each entry is counted once."""

from __future__ import annotations

from akto_mirror import snapshots
from akto_mirror.accounts import Stats
from akto_mirror.outcomes import Dropped, Format, Outcome, Reason, Repair, Secret
from akto_mirror.snapshots import Snapshot, Takeover


def stats(spooled: int, queued: int = 0) -> Stats:
    """Return the counts of a process with entries on disk and in memory."""
    made = Stats()
    for _ in range(spooled + queued):
        made.capture()
    made.move([b"x"] * spooled, Outcome.QUEUED, Outcome.SPOOLED)
    return made


def taking(count: int, *, at: float, session: int = 1) -> Stats:
    """Return the counts of a process that has taken over and shipped entries."""
    made = Stats()
    made.recover(count)
    made.take_over([Takeover(at, session, count)])
    made.move([b"x"] * count, Outcome.SPOOLED, Outcome.IN_FLIGHT)
    made.move([b"x"] * count, Outcome.IN_FLIGHT, Outcome.SHIPPED)
    return made


def beginning(spooled: int, queued: int = 0) -> Stats:
    """Return the counts of a process that has begun a session on disk."""
    made = stats(spooled, queued)
    made.take_over([Takeover(1.0, 1, 0)])
    return made


def sum_of(ended: Snapshot, *others: Stats) -> str:
    """Return the line for one process that has ended, and others."""
    whole = snapshots.total([*(each.snapshot() for each in others), ended]).settled()
    assert whole.missing == 0
    return str(whole)


def test_a_sum_has_every_count() -> None:
    """A sum has all counts: the sum of one snapshot equals it."""
    made = beginning(3, 1)
    made.skip(Reason.STATUS)
    made.lose(Dropped.QUEUE_FULL)
    made.repair([Repair("request", Format.JSON)])
    made.hide([Secret("name", "password", 2)])
    made.attempt(1.5, [b"x"], ok=False)
    made.err()
    made.shorten()
    one = made.snapshot()
    assert snapshots.total([one]) == one
    assert snapshots.total([one, one]).hidden == {("name", "password"): 4}


def test_what_one_leaves_and_another_takes_over_is_counted_once() -> None:
    """Entries that a process takes over are neither recovered nor left on disk, whichever process reports first."""
    left = beginning(3).snapshot().after_the_end(killed=False)
    whole = "captured 3 = shipped 3 + spooled 0 + rejected 0 + dropped 0; skipped 0"
    assert sum_of(left, taking(3, at=2.0)) == whole
    assert str(snapshots.total([left, taking(3, at=2.0).snapshot()]).settled()) == whole
    assert sum_of(left).startswith("captured 3 = shipped 0 + spooled 3 ")


def test_what_was_there_before_stays_recovered() -> None:
    """Entries of an earlier run stay recovered, even if one process of the sum takes them over from another."""
    before = Stats()
    before.recover(4)
    before.take_over([Takeover(1.0, 1, 4)])
    left = before.snapshot().after_the_end(killed=False)
    assert sum_of(left, taking(4, at=2.0)).startswith("captured 0 + recovered 4 = shipped 4 + spooled 0 ")


def test_others_batches_on_disk_stay_there() -> None:
    """Batches on disk of a living process are not counted as taken over."""
    left = beginning(3).snapshot().after_the_end(killed=False)
    line = sum_of(left, taking(3, at=2.0), stats(5))
    assert line.startswith("captured 8 = shipped 3 + spooled 5 ")


def test_what_a_killed_process_had_written_after_its_last_report_is_not_lost() -> None:
    """Entries that a killed process wrote to disk after its last report are not counted as lost."""
    killed = beginning(3, 2).snapshot().after_the_end(killed=True)
    line = sum_of(killed, taking(4, at=2.0))
    assert "shipped 4 + spooled 0" in line
    assert "dropped 1 (in the memory of a process that was killed 1)" in line
    assert sum_of(killed, taking(6, at=2.0)).startswith("captured 5 + recovered 1 = shipped 6 ")
