"""Finds the bad entries in refused batches by bisection. A state machine without clock and I/O.

Akto accepts a batch as a whole or refuses it as a whole, and one bad entry is enough for a refusal. *Bisection* finds
the bad entries: a refused batch is split and its parts are sent in its place, and refused parts are split again, down
to single entries. With k bad entries of n:

- every part without a bad entry passes and is never sent again, so that good entries are delivered once;
- no part is split unless it was refused, so that at most 2k parts are tried on each of log2 n levels;
- a single entry that is refused `Pace.refusals` times while others pass is bad, and ends as a dead letter.

So exactly k entries end as dead letters, after at most 2k log2 n requests and a few more for each of them. If many
entries are bad, a batch is split into single entries at once instead, which costs `Pace.refusals` requests for each bad
entry and one for each good one.

The difficulty is that an *outage* looks like a bad entry: everything is refused for a while. `poison` decides which of
the two a refusal is, and when to split and to reject; `bisections` keeps the parts. A caller calls `passed` or
`refused` after each attempt; then, by the decision returned, `split`, `bisections.end` (for a part that passed or is
rejected) or `bisections.wait`; and `take_part` for the next attempt.
"""

from __future__ import annotations

from collections.abc import Collection

from akto_mirror.delivery import batch
from akto_mirror.delivery.batch import Batch, SpoolId
from akto_mirror.delivery.bisections import NEIGHBOURS, NEVER_REFUSED, Bisection, Bisections
from akto_mirror.delivery.poison import Decision, Poison, Refusals, Refused
from akto_mirror.delivery.retry import Pace


class PoisonFilter:
    """Records passes and refusals, and finds the bad entries."""

    def __init__(self) -> None:
        self.poison = Poison()
        self.bisections = Bisections()
        self._refusals: dict[Batch | SpoolId, Refusals] = {}

    def refusals(self, tried: Batch) -> Refusals:
        """Return how often a batch, or a part of one, was refused."""
        part = self.bisections.part(tried)
        return part.refusals if part else self._refusals.get(_key(tried), NEVER_REFUSED)

    def forget(self, tried: Batch) -> None:
        """Forget the refusals of a batch that is resolved."""
        self._refusals.pop(_key(tried), None)

    def follow(self, tried: Batch, waiting: Batch) -> None:
        """Keep the refusals of a batch that now waits in another place."""
        if refusals := self._refusals.pop(_key(tried), None):
            self._refusals[_key(waiting)] = refusals

    def later(self, now: float) -> list[SpoolId]:
        """List the batches on disk that may not be tried yet."""
        return [key for key, known in self._refusals.items() if isinstance(key, SpoolId) and known.not_before > now]

    def least_refused(self, tried: Collection[Batch], now: float) -> Batch | None:
        """Choose, of the batches that may be tried again, the one that was refused least often."""
        due = [each for each in tried if self.refusals(each).not_before <= now]
        return min(due, key=lambda each: self.refusals(each).count, default=None)

    def forget_all(self) -> None:
        """Forget the refusals of all batches, which no longer belong to this process."""
        self._refusals.clear()

    def passed(self, count: int, now: float) -> None:
        """Record entries that passed."""
        self.poison.passed(count, now)

    def refused(  # noqa: PLR0913 - all that the decision rests on
        self, tried: Batch, *, healthy: bool | None, is_too_large: bool, now: float, pause: float, pace: Pace
    ) -> Decision:
        """Record a refusal, and decide what to do.

        Args:
            tried: the refused batch or part.
            healthy: whether the health check passed afterwards; None without one.
            is_too_large: whether only the size is the reason.
            now: monotonic seconds.
            pause: seconds until it may be tried again.
            pace: when to reject an entry.
        """
        part = self.bisections.part(tried)
        what = Refused(self.refusals(tried), len(tried.entries), part is not None, healthy, is_too_large)
        decision = self.poison.refused(what, now, pause, pace)
        if part:
            part.refusals = decision.refusals
        else:
            self._refusals[_key(tried)] = decision.refusals
        return decision

    def split(self, tried: Batch, now: float) -> bool:
        """Split a batch or a part of one; False if it has to wait for open bisections."""
        if self.bisections.part(tried) is None:
            if not self.bisections.may_begin(tried, several=self.poison.is_season(now)):
                return False
            self.begin(tried)
        part = self.bisections.part(tried)
        assert part is not None  # noqa: S101 - it is one by now; for the type checker
        for entries in reversed(batch.split(tried.entries, self.poison.parts(len(tried.entries)))):
            self.bisections.wait(self.bisections.add(part.whole, entries, part.refusals.of_part()))
        self.bisections.end(tried)
        return True

    def begin(self, tried: Batch) -> Bisection:
        """Return the bisection of a batch or a part of one; a new one if there is none, regardless of their number."""
        part = self.bisections.part(tried)
        return part.whole if part else self.bisections.begin(tried, self._refusals.pop(_key(tried), NEVER_REFUSED))

    def take_part(self, now: float, *, wants_pass: bool) -> Batch | None:
        """Take the part to send next: one that can be resolved, an untried one, or one that was refused before."""
        settling = None if wants_pass else self.bisections.take_settling(now, self.poison.passes)
        return settling or self.take_fresh_part() or self.bisections.take_refused(now)

    def take_fresh_part(self) -> Batch | None:
        """Take an untried part."""
        return self.bisections.take_fresh(self.poison.row)

    def wants_pass(self) -> bool:
        """Return whether, after many refusals in a row, a batch that is likely to pass should be sent first."""
        return self.poison.row >= NEIGHBOURS


def _key(tried: Batch) -> Batch | SpoolId:
    return tried.spool_id or tried
