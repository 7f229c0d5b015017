"""Decides whether a refusal means poison or an outage. A state machine without clock and I/O.

A refusal whose status can be caused by the content of a batch (`symptoms.blames_entries`) has one of two reasons:
*poison*, an entry in the batch that will always be refused, or an *outage*, during which everything is refused. They
look alike until something else passes. So:

- While nothing passes, a refusal may mean an outage: Akto is doubted, and the next attempt waits. That is always safe.
  If the health check passes, the waits grow only with every `ROW` refusals, so that proof is found soon.
- A batch is *split* if poison is likely: it was refused twice, or others were refused too, and others have passed since
  its first refusal or the health check passes. Splitting costs requests and decides nothing. Parts are tried smallest
  first, without waits while they get smaller: that takes few steps, and the first part that passes proves that Akto
  works. An outage behind a passing health check is recognised when single entries are refused, which raises doubt
  again.
- A single entry is *rejected* after `Pace.refusals` refusals with a pass between each two of them, which no outage
  causes. If nothing is left that could pass, a passing health check replaces all but one of these passes; if only other
  entries of its batch have passed, rejecting also takes `STEADY_S`, or `DOUBT_S` in doubt, so that a short outage
  behind a passing health check rejects nothing; if nothing has passed at all, it takes `Pace.patience_s`.
- Poison seldom comes alone. Once it is proven, a *season* begins: the first refusal of a batch is then expected, and is
  enough to split it. Several batches may then be split at a time; if a large share of the entries is bad, directly into
  single entries. So the wait for proof happens once and not for each batch. `ROW` refusals in a row end the season.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from akto_mirror.delivery.retry import Pace

# After this many refusals in a row, not counting parts that are being split further, Akto is doubted again.
ROW = 16

# Seconds for which a pass proves that Akto works, in place of a health check.
PROOF_S = 1.0

# Seconds for which a proof of poison is valid.
SEASON_S = 60.0

# Seconds from the first refusal of a single entry to its last if nothing can pass in between, and if Akto is also in
# doubt.
STEADY_S = 5.0
DOUBT_S = 60.0

# Above this share of bad entries among the last hundred or so, halving takes more requests than single entries.
DENSE = 0.25
_MEMORY = 0.99


class Act(Enum):
    """What to do with a refused batch or part."""

    WAIT = "wait"
    SPLIT = "split"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often a batch or a part of one was refused, and how many others passed in the meantime.

    Attributes:
        count: how often it was refused itself.
        passes: how much had passed before its first refusal, or that of the batch that it is a part of.
        last: how much had passed before its own last refusal.
        between: before how many of its refusals something had passed since the previous one.
        since: when it was first refused itself, in monotonic seconds.
        not_before: when the next attempt is due, in monotonic seconds.
    """

    count: int = 0
    passes: int | None = None
    last: int = 0
    between: int = 0
    since: float = 0.0
    not_before: float = float("-inf")

    def again(self, passes: int, now: float, pause: float, pace: Pace) -> Refusals:
        """Count one more refusal; the next attempt is due in `pause` seconds.

        If that may be the last attempt, it is due no earlier than `STEADY_S` after the first refusal.
        """
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
        """Return the refusals of a part that has not been tried itself."""
        return Refusals(passes=self.passes)


class Refused(NamedTuple):
    """A refused batch or part: its earlier refusals, number of entries, whether it is a part, and how it was refused.

    `healthy` is whether the health check passed afterwards, None without one; `is_too_large` whether only the size is
    the reason.
    """

    refusals: Refusals
    size: int
    is_part: bool
    healthy: bool | None
    is_too_large: bool


class Evidence(NamedTuple):
    """The evidence for poison: others have passed since, Akto works, few refusals in a row."""

    others: bool
    works: bool
    early: bool


class Decision(NamedTuple):
    """The decision about a refusal: the updated refusals, what to do, and whether Akto is in doubt."""

    refusals: Refusals
    act: Act
    doubts: bool


class Poison:
    """Records passes and refusals, and decides."""

    def __init__(self) -> None:
        self.passes = 0
        self._passed_at = float("-inf")
        self._row = 0
        self._season_until = float("-inf")
        self._share = 0.0

    def passed(self, size: int, now: float) -> None:
        """Record a batch or part that passed; `size` is its number of entries."""
        self.passes += 1
        self._passed_at = now
        self._row = 0
        self._share *= _MEMORY**size

    @property
    def row(self) -> int:
        """The number of refusals in a row, not counting parts that are being split further."""
        return self._row

    def failures(self) -> int:
        """Return how many failures the wait is based on if the health check passes: one for every `ROW` refusals."""
        return max(0, self._row - 1) // ROW

    def is_early(self) -> bool:
        """Return whether there were so few refusals in a row that a single batch may be the cause."""
        return self._row <= ROW

    def is_season(self, now: float) -> bool:
        """Return whether poison was proven recently."""
        return now < self._season_until

    def wants_health(self, now: float) -> bool:
        """Return whether a health check would matter if the current batch is refused."""
        return not self._is_proven(now)

    def parts(self, size: int) -> int:
        """Return into how many parts a batch of at least two entries should be split."""
        return size if self._share > DENSE else 2

    def refused(self, what: Refused, now: float, pause: float, pace: Pace) -> Decision:
        """Decide about a refusal.

        Args:
            what: the refused batch or part.
            now: monotonic seconds.
            pause: seconds until it may be tried again.
            pace: when to reject an entry.
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
        return Decision(again, act, not settles and self._doubts(what, evidence, now))

    def _is_proven(self, now: float) -> bool:
        return now - self._passed_at <= PROOF_S

    def _doubts(self, what: Refused, evidence: Evidence, now: float) -> bool:
        """Return whether to doubt Akto: not if the refusal was to be expected or is no new evidence."""
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
