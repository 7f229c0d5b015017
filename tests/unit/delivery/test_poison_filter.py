"""Delivery contract, line 5: k bad entries of n become exactly k dead letters, in a bounded number of requests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.delivery.batch import Batch
from akto_mirror.delivery.poison import Act
from akto_mirror.delivery.poison_filter import PoisonFilter
from akto_mirror.delivery.retry import Pace

PACE = Pace()


class Peer:
    """Sends batches, without a clock, to a service that refuses bad entries and whose health check passes.

    Attributes:
        delivered: how often each entry was delivered.
        rejected: how often each entry was rejected.
        requests: the number of requests.
    """

    def __init__(self) -> None:
        self.filter = PoisonFilter()
        self.delivered: Counter[bytes] = Counter()
        self.rejected: Counter[bytes] = Counter()
        self.requests = 0
        self.now = 0.0

    def send(self, batch: Batch) -> bool:
        """Send a batch or a part, and pass the answer on; return whether it is resolved."""
        self.requests += 1
        is_part = self.filter.bisections.part(batch) is not None
        if not any(entry.startswith(b"bad") for entry in batch.entries):
            self.filter.passed(len(batch.entries), self.now)
            self.delivered.update(batch.entries)
            return self._end(batch, is_part=is_part)
        verdict = self.filter.refused(
            batch, healthy=True, is_too_large=False, now=self.now, pause=PACE.first_s, pace=PACE
        )
        if verdict.act is Act.REJECT:
            self.rejected.update(batch.entries)
            return self._end(batch, is_part=is_part)
        if verdict.act is Act.SPLIT and self.filter.split(batch, self.now):
            return True
        if is_part:
            self.filter.bisections.wait(batch)
        return False

    def settle(self, batches: Sequence[Batch]) -> None:
        """Send batches and due parts until each entry is delivered or rejected."""
        waiting = list(batches)
        while waiting or self.filter.bisections.open:
            part = self.filter.take_part(self.now, wants_pass=self.filter.wants_pass())
            if part is not None:
                self.send(part)
            elif (batch := self.filter.least_refused(waiting, self.now)) is not None:
                if self.send(batch):
                    waiting.remove(batch)
            else:
                self.now += 0.25

    def _end(self, batch: Batch, *, is_part: bool) -> bool:
        if not is_part:
            self.filter.forget(batch)
        elif whole := self.filter.bisections.end(batch):
            assert self.filter.bisections.close(whole) == []
        return True


def batches(sizes: Sequence[int], bad: set[int]) -> list[Batch]:
    """Return batches of these sizes; entries are numbered across batches, and those with the given numbers are bad."""
    numbers = iter(range(sum(sizes)))
    named = [
        [b"%s-%d" % (b"bad" if n in bad else b"good", n) for n, _ in zip(numbers, range(size), strict=False)]
        for size in sizes
    ]
    return [Batch(entries, 0.0) for entries in named]


@given(data=st.data(), sizes=st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_exactly_the_bad_entries_are_rejected(data: st.DataObject, sizes: list[int]) -> None:
    """Line 5: wherever k of n entries are bad, exactly these are rejected, and the others are delivered once."""
    count = sum(sizes)
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    peer = Peer()
    sent = batches(sizes, bad)
    peer.settle(sent)
    entries = [entry for batch in sent for entry in batch.entries]
    assert peer.rejected == Counter(entry for entry in entries if entry.startswith(b"bad"))
    assert peer.delivered == Counter(entry for entry in entries if entry.startswith(b"good"))
    levels = math.ceil(math.log2(max(sizes))) if max(sizes) > 1 else 0
    assert peer.requests <= 2 * len(sizes) + len(bad) * (2 * levels + PACE.refusals)
    assert not peer.filter.bisections.open
