"""Which entries are to blame when batches are refused. A state machine that decides only: no clock and no I/O.

A refusal whose status can be due to what a batch holds (`retry.blames_entries`) has one of two reasons: *poison*, an
entry in the batch that will always be refused, or an *outage*, in which everything is, for a while, whatever it holds.
They look alike until something else passes. So:

- While nothing passes, a refusal is news: Akto is doubted, and waited for. That is always safe. Where the
  health check is green the waits grow only with every `ROW` refusals, so that proof is found soon.
- A batch is *split* where poison is likely: it was refused twice, or others beside it, and others have passed since its
  first refusal, or the health check is green.
  To split costs requests and decides nothing. Parts are tried smallest first, without a wait on the way down, for the
  way is short and the first part that passes proves that Akto works. An outage behind a green health check is
  found out at its end: there lone entries are refused, which is news again.
- A lone entry is *rejected* after `Pace.refusals` refusals with a pass between each two of them, which no outage looks
  like. Where nothing is left that could pass, a green health check stands in for all but one of these passes; where
  only others of its batch have passed, it also takes `STEADY_S`, or `DOUBT_S` in doubt, so that a short outage behind a
  green health check rejects nothing; and where nothing has passed at all, `Pace.patience_s`.
- Poison seldom comes alone. Once it is proven, a *season* begins: the first refusal of a batch is then expected, and is
  enough to split it, several at a time; where a large share of the entries is bad, into single entries at once. So the
  wait for proof is paid once and not for each batch. `ROW` refusals without a pass end the season.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from akto_mirror.delivery.retry import Pace

# This many refusals in a row without a pass, parts on the way down left out, and Akto is doubted again.
ROW = 16

# Seconds for which a pass proves that Akto works, in place of a health check.
PROOF_S = 1.0

# Seconds for which a proof of poison holds.
SEASON_S = 60.0

# Seconds from the first refusal of a lone entry to its last where nothing can pass in between, and where Akto
# is in doubt besides.
STEADY_S = 5.0
DOUBT_S = 60.0

# The share of bad entries among the last hundred or so from which halving takes more requests than single entries.
DENSE = 0.25
_MEMORY = 0.99


class Act(Enum):
    """What to do with what was refused."""

    WAIT = "wait"
    SPLIT = "split"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often a batch or a part of one was refused, and what passed in the meantime.

    Attributes:
        count: how often itself.
        passes: what had passed before the first refusal of it, or of the batch that it is a part of.
        last: what had passed before its own last refusal.
        between: how often something had passed since the refusal before.
        since: when its own first refusal was, in monotonic seconds.
        not_before: when the next attempt is due, in monotonic seconds.
    """

    count: int = 0
    passes: int | None = None
    last: int = 0
    between: int = 0
    since: float = 0.0
    not_before: float = float("-inf")

    def again(self, passes: int, now: float, pause: float, pace: Pace) -> Refusals:
        """Count one refusal more, and wait `pause` seconds; before what may be the last attempt, for steadiness."""
        between = self.between + (self.count > 0 and passes > self.last)
        since = self.since if self.count else now
        steady = since + STEADY_S if self.count + 2 >= pace.refusals and not between else now
        return Refusals(
            self.count + 1,
            passes if self.passes is None else self.passes,
            passes,
            between,
            since,
            max(now + pause, steady),
        )

    def of_part(self) -> Refusals:
        """Return what is known of a part that has not been tried itself."""
        return Refusals(passes=self.passes)


class Refused(NamedTuple):
    """What was refused: its refusals until then, how many entries, a part of a batch or not, and how.

    `healthy` is whether the health check was green afterwards, None without one; `is_too_large` whether the size is
    to blame, and nothing else.
    """

    refusals: Refusals
    size: int
    is_part: bool
    healthy: bool | None
    is_too_large: bool


class Evidence(NamedTuple):
    """What speaks for poison: others have passed since, Akto works, few were refused without a pass."""

    others: bool
    works: bool
    early: bool


class Verdict(NamedTuple):
    """What a refusal means: its refusals now, what to do, and whether Akto is in doubt."""

    refusals: Refusals
    act: Act
    doubts: bool


class Poison:
    """Takes note of passes and refusals, and decides."""

    def __init__(self) -> None:
        self.passes = 0
        self._passed_at = float("-inf")
        self._row = 0
        self._season_until = float("-inf")
        self._share = 0.0

    def passed(self, size: int, now: float) -> None:
        """Take note of entries that passed."""
        self.passes += 1
        self._passed_at = now
        self._row = 0
        self._share *= _MEMORY**size

    @property
    def row(self) -> int:
        """How many refusals have come without a pass, parts on the way down left out."""
        return self._row

    def failures(self) -> int:
        """Return how many failures the wait counts where the health check is green: one for every `ROW` refusals."""
        return max(0, self._row - 1) // ROW

    def is_early(self) -> bool:
        """Return whether few have, so that one batch alone may be to blame."""
        return self._row <= ROW

    def is_season(self, now: float) -> bool:
        """Return whether poison was proven lately."""
        return now < self._season_until

    def wants_health(self, now: float) -> bool:
        """Return whether a health check would decide something, should what is sent now be refused."""
        return not self._is_proven(now)

    def parts(self, size: int) -> int:
        """Return into how many parts a batch of at least two entries is best split."""
        return size if self._share > DENSE else 2

    def refused(self, what: Refused, now: float, pause: float, pace: Pace) -> Verdict:
        """Decide about a refusal.

        Args:
            what: was refused.
            now: monotonic seconds.
            pause: seconds until it may be tried again.
            pace: how much it takes to reject an entry.
        """
        again = what.refusals.again(self.passes, now, pause, pace)
        evidence = Evidence(
            others=self.passes > (again.passes or 0),
            works=bool(what.healthy) or self._is_proven(now),
            early=self.is_early(),
        )
        if what.size == 1 and again.count == 1:
            self._share = self._share * _MEMORY + 1 - _MEMORY
        if (what.refusals.count or what.is_part) and evidence.others and evidence.works:
            self._season_until = now + SEASON_S
        act = self._act(what, again, evidence, now, pace)
        settles = act is Act.REJECT and not what.is_too_large
        return Verdict(again, act, not settles and self._doubts(what, evidence, now))

    def _is_proven(self, now: float) -> bool:
        return now - self._passed_at <= PROOF_S

    def _doubts(self, what: Refused, evidence: Evidence, now: float) -> bool:
        """Doubt Akto, unless the refusal says nothing new, or was to be expected."""
        on_the_way = what.size > 1 and (what.is_part or self.is_season(now))
        known = what.refusals.count > 0 and evidence.others and evidence.early
        if evidence.works and (on_the_way or known):
            return False
        self._row += 1
        if self._row > ROW:
            self._season_until = float("-inf")
            return True
        expected = self._is_proven(now) or (evidence.works and self.is_season(now))
        return not (what.is_too_large or evidence.others or expected)

    def _act(self, what: Refused, again: Refusals, evidence: Evidence, now: float, pace: Pace) -> Act:
        if what.size > 1:
            ripe = what.is_part or again.count > 1 or self._row > 1 or self.is_season(now)
            splits = what.is_too_large or (ripe and (evidence.others or evidence.works))
            return Act.SPLIT if splits else Act.WAIT
        return Act.REJECT if what.is_too_large or _is_bad(again, evidence, now, pace) else Act.WAIT


def _is_bad(refusals: Refusals, evidence: Evidence, now: float, pace: Pace) -> bool:
    if refusals.count < pace.refusals:
        return False
    if refusals.between >= pace.refusals - 1:
        return True
    if not evidence.works:
        return False
    age = now - refusals.since
    if not evidence.others:
        return age >= pace.patience_s
    if not evidence.early:
        return age >= DOUBT_S
    return refusals.between > 0 or age >= STEADY_S
