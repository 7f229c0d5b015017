"""Destinations that judge entries one by one: each entry is handled by its own result."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.sinks.base import EntryResult, SendResult
from akto_mirror.delivery.sinks.symptoms import Cause
from tests.faults.driver import Driver, ok

DELIVERED, REFUSED, TOO_LARGE, UNKNOWN = EntryResult

MODES = pytest.mark.parametrize("durability", Durability)

ENTRY_RESULTS = {b"g": DELIVERED, b"r": REFUSED, b"l": TOO_LARGE}


class Peer:
    """A destination that judges entries one by one, and at first has no result for the entries in `down`."""

    def __init__(self, down: frozenset[bytes] = frozenset()) -> None:
        self.arrived: Counter[bytes] = Counter()
        self.down = down
        self.attempts = 0

    def __call__(self, entries: Sequence[bytes]) -> SendResult:
        """Return a result for each entry."""
        self.attempts += 1
        down = self.down if self.attempts < 4 else frozenset()
        entry_results = [UNKNOWN if entry in down else ENTRY_RESULTS[entry[:1]] for entry in entries]
        self.arrived.update(entry for entry, each in zip(entries, entry_results, strict=True) if each is DELIVERED)
        return SendResult(None if UNKNOWN in entry_results else 200, "of a partition", entry_results=entry_results)


@MODES
def test_each_entry_goes_the_way_of_its_verdict(tmp_path: Path, durability: Durability) -> None:
    """Delivered entries are not sent again, too large ones are rejected at once, and refused ones after attempts."""
    driver, peer = Driver(tmp_path / "spool", durability), Peer(frozenset({b"g2"}))
    entries = [b"g1", b"g2", b"r1", b"l1", b"g3"]
    for entry in entries:
        driver.offer(entry)
    driver.run(peer)
    assert peer.arrived == Counter([b"g1", b"g2", b"g3"])
    assert (driver.counts.shipped, driver.counts.rejected, driver.counts.pending) == (3, 2, 0)
    asked = Counter(entry for request in driver.requests for entry in request)
    assert asked[b"l1"] == 1
    assert asked[b"r1"] >= 3
    assert driver.became(b"l1")[-1] == "rejected (of a partition)"


@MODES
def test_what_is_left_of_a_batch_is_written_to_disk(tmp_path: Path, durability: Durability) -> None:
    """After a restart, only entries without a result are sent again, if the mode writes to disk."""
    driver, peer = Driver(tmp_path / "spool", durability), Peer(frozenset({b"g2"}))
    for entry in (b"g1", b"g2", b"g3"):
        driver.offer(entry)
    driver.clock.now += 2
    driver.tend()
    assert driver.begin()
    driver.finish(peer)
    assert (driver.counts.shipped, driver.counts.pending, driver.counts.missing) == (2, 1, 0)
    if driver.spool:
        assert driver.counts.spooled == 1
        driver.close()
        driver = Driver(tmp_path / "spool", durability, clock=driver.clock)
    driver.run(ok)
    assert driver.requests[-1] == [b"g2"]


@pytest.mark.parametrize("durability", [Durability.MEMORY, Durability.SPILL])
@settings(deadline=None, max_examples=25)
@given(kinds=st.lists(st.sampled_from("grl"), min_size=1, max_size=30), down=st.sets(st.integers(0, 29)))
def test_every_entry_ends_as_its_verdict_says(durability: Durability, kinds: list[str], down: set[int]) -> None:
    """For any results, with some unknown at first, no entry is lost or delivered twice."""
    entries = [b"%s%03d" % (kind.encode(), number) for number, kind in enumerate(kinds)]
    good = [entry for entry in entries if entry[:1] == b"g"]
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(Path(folder) / "spool", durability)
        for entry in entries:
            driver.offer(entry)
        peer = Peer(frozenset(entries[number] for number in down if number < len(entries)))
        driver.run(peer, seconds=7200)
        assert peer.arrived == Counter(good)
        counts = driver.counts
        assert (counts.shipped, counts.rejected) == (len(good), len(entries) - len(good))
        assert (counts.pending, counts.missing) == (0, 0)


@pytest.mark.parametrize(
    ("result", "entry_result"),
    [
        (SendResult(200), DELIVERED),
        (SendResult(200, cause=Cause.EMPTY), UNKNOWN),
        (SendResult(None, "no answer"), UNKNOWN),
        (SendResult(503), UNKNOWN),
        (SendResult(401), UNKNOWN),
        (SendResult(413), TOO_LARGE),
        (SendResult(422), REFUSED),
    ],
)
def test_without_entry_results_all_entries_share_the_answer(result: SendResult, entry_result: EntryResult) -> None:
    """HTTP and files accept a batch as a whole or not at all, so that all entries have the same result."""
    assert list(result.results_of(3)) == [entry_result] * 3
