"""Finds the entries to blame when batches are refused. A state machine that decides only: no clock and no I/O.

A batch is a yes-or-no question: Akto takes all of its entries or refuses all of them, and one bad entry is enough for
that. Which entries are bad is found by *bisection*: a refused batch is split, its parts are sent in its place, and so
with the parts down to lone entries. With k bad entries of n:

- every part without a bad entry passes and is never sent again, so that good entries are delivered once;
- no part is split unless it was refused, so that at most 2k parts a level of log2 n levels are tried;
- a lone entry that is refused `Pace.refusals` times while others pass is bad, and ends as a dead letter.

So exactly k entries end as dead letters, after at most 2k log2 n requests and a few more for each of them; where many
entries are bad, a batch is split into lone entries at once instead, which costs `Pace.refusals` requests for each bad
entry and one for each good one.

What makes it hard is that an *outage* answers like a bad entry: everything is refused for a while. `poison` decides
which of both a refusal is, and holds what has to be true before anything is split or rejected; `bisections` keeps the
parts. The steps of a caller: `passed` or `refused` after each attempt; then, as the verdict says, `split`, or
`bisections.end` of what passed or is rejected, or `bisections.wait`; and `take_part` for the next attempt.
"""

from __future__ import annotations

from collections.abc import Collection

from akto_mirror.delivery import batch
from akto_mirror.delivery.batch import Batch, SpoolId
from akto_mirror.delivery.bisections import NEIGHBOURS, NEVER_REFUSED, Bisection, Bisections
from akto_mirror.delivery.poison import Poison, Refusals, Refused, Verdict
from akto_mirror.delivery.retry import Pace


class PoisonFilter:
    """Takes note of passes and refusals, and finds the entries to blame."""

    def __init__(self) -> None:
        self.poison = Poison()
        self.bisections = Bisections()
        self._refusals: dict[Batch | SpoolId, Refusals] = {}

    def refusals(self, tried: Batch) -> Refusals:
        """Return how often a batch, or a part of one, was refused."""
        part = self.bisections.part(tried)
        return part.refusals if part else self._refusals.get(_key(tried), NEVER_REFUSED)

    def forget(self, tried: Batch) -> None:
        """Forget the refusals of a batch that has come to an end."""
        self._refusals.pop(_key(tried), None)

    def follow(self, tried: Batch, waiting: Batch) -> None:
        """Know a batch by the place where it waits now."""
        if refusals := self._refusals.pop(_key(tried), None):
            self._refusals[_key(waiting)] = refusals

    def later(self, now: float) -> list[SpoolId]:
        """List the batches on disk that are not to be tried yet."""
        return [key for key, known in self._refusals.items() if isinstance(key, SpoolId) and known.not_before > now]

    def least_refused(self, tried: Collection[Batch], now: float) -> Batch | None:
        """Choose the batch that was refused least often of those that may be tried again."""
        due = [each for each in tried if self.refusals(each).not_before <= now]
        return min(due, key=lambda each: self.refusals(each).count, default=None)

    def forget_all(self) -> None:
        """Forget the refusals of all batches, which are not this process's any more."""
        self._refusals.clear()

    def passed(self, count: int, now: float) -> None:
        """Take note of entries that passed."""
        self.poison.passed(count, now)

    def refused(  # noqa: PLR0913 - all that the decision rests on
        self, tried: Batch, *, healthy: bool | None, is_too_large: bool, now: float, pause: float, pace: Pace
    ) -> Verdict:
        """Take note of a refusal, and decide.

        Args:
            tried: was refused.
            healthy: whether the health check was green afterwards; None if it was not asked.
            is_too_large: whether the size is to blame, and nothing else.
            now: monotonic seconds.
            pause: seconds until it may be tried again.
            pace: how much it takes to reject an entry.
        """
        part = self.bisections.part(tried)
        what = Refused(self.refusals(tried), len(tried.entries), part is not None, healthy, is_too_large)
        verdict = self.poison.refused(what, now, pause, pace)
        if part:
            part.refusals = verdict.refusals
        else:
            self._refusals[_key(tried)] = verdict.refusals
        return verdict

    def split(self, tried: Batch, now: float) -> bool:
        """Split a batch or a part of one; False if it has to wait for those that are being split."""
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
        """Return the bisection of a batch or a part of one; it begins if there is none, however many there are."""
        part = self.bisections.part(tried)
        return part.whole if part else self.bisections.begin(tried, self._refusals.pop(_key(tried), NEVER_REFUSED))

    def take_part(self, now: float, *, wants_pass: bool) -> Batch | None:
        """Take the part to send next: one that can be resolved, a new one, or one that was refused before."""
        settling = None if wants_pass else self.bisections.take_settling(now, self.poison.passes)
        return settling or self.take_fresh_part() or self.bisections.take_refused(now)

    def take_fresh_part(self) -> Batch | None:
        """Take a part that has not been tried."""
        return self.bisections.take_fresh(self.poison.row)

    def wants_pass(self) -> bool:
        """Return whether so much was refused in a row that what is likely to pass should come first."""
        return self.poison.row >= NEIGHBOURS


def _key(tried: Batch) -> Batch | SpoolId:
    return tried.spool_id or tried
