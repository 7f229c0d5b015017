"""Decides about a batch after an attempt to send it. No threads and no clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from akto_mirror.accounts import Stats
from akto_mirror.delivery import retry
from akto_mirror.delivery.batch import Batch
from akto_mirror.delivery.bisections import Bisection
from akto_mirror.delivery.poison import Act
from akto_mirror.delivery.poison_filter import PoisonFilter
from akto_mirror.delivery.report import Report
from akto_mirror.delivery.retry import Health
from akto_mirror.delivery.sinks.base import EntryResult, SendResult
from akto_mirror.delivery.sinks.symptoms import Kind
from akto_mirror.delivery.waiting import Waiting
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Outcome, Rejected

DELIVERED, REFUSED, TOO_LARGE, UNKNOWN = EntryResult


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send a batch: its result, and how many seconds it took."""

    batch: Batch
    result: SendResult
    seconds: float

    @property
    def delivers(self) -> bool:
        """Whether some of the entries have arrived."""
        return DELIVERED in self.result.results_of(len(self.batch.entries))


@dataclass(frozen=True, slots=True)
class Moment:
    """The current time: in monotonic seconds, and in epoch seconds for responses that name a date."""

    now: float
    wall: float


class Results:
    """Decides about the entries of each attempt.

    Args:
        waiting: where batches wait for another attempt.
        poison: finds the bad entries.
        health: the state of the destination.
        stats: where entries are accounted for.
        report: writes to the log.
        chance: returns random numbers from 0 to 1.
    """

    def __init__(  # noqa: PLR0913 - the parts that it stands between
        self,
        waiting: Waiting,
        poison: PoisonFilter,
        health: Health,
        stats: Stats,
        *,
        report: Report,
        chance: Callable[[], float],
    ) -> None:
        self._waiting = waiting
        self._poison = poison
        self._health = health
        self._stats = stats
        self._report = report
        self._chance = chance

    def finish(self, attempt: Attempt, at: Moment) -> None:
        """Record an attempt; even if that raises an error, no entry is lost."""
        flying = self._stats.count(Outcome.IN_FLIGHT)
        try:
            self._finish(attempt, at)
        except Exception:
            if self._stats.count(Outcome.IN_FLIGHT) == flying:
                self._rescue(attempt.batch, at.now)
            raise

    def _finish(self, attempt: Attempt, at: Moment) -> None:
        batch, result = attempt.batch, attempt.result
        groups = _by_result(batch.entries, result)
        found = {each for each, entries in groups.items() if entries}
        passed = found == {DELIVERED}
        self._waiting.trouble = "" if passed else result.answer
        self._stats.attempt(attempt.seconds, groups[DELIVERED], ok=passed, doubtful=result.doubtful)
        for _ in range(result.shortened):
            self._stats.shorten()
        if passed:
            self._pass(batch, at.now)
        elif found == {UNKNOWN}:
            self._fail(result, at)
            self.put_back(batch, at.now)
        elif result.entry_results and len(batch.entries) > 1:
            self._divide(batch, groups, result, at)
        else:
            self._refuse(batch, result, at, is_too_large=found == {TOO_LARGE})
        if groups[DELIVERED]:
            self._report.shipped(len(groups[DELIVERED]), sum(map(len, groups[DELIVERED])), attempt.seconds)

    def put_back(self, batch: Batch, now: float) -> None:
        """Let a batch, or a part of one, wait for another attempt."""
        if self._poison.bisections.part(batch):
            self._poison.bisections.wait(batch)
        else:
            refused = bool(self._poison.refusals(batch).count)
            self._poison.follow(batch, self._waiting.put_back(batch, now, refused=refused))

    def close_bisections(self, now: float) -> None:
        """Close all bisections: store their remaining entries and dead letters."""
        for whole in list(self._poison.bisections.open):
            self._close(whole, now)

    def _rescue(self, batch: Batch, now: float) -> None:
        if self._poison.bisections.part(batch):
            self._poison.bisections.wait(batch)
        else:
            self._poison.follow(batch, self._waiting.rescue(batch, now))

    def _pass(self, batch: Batch, now: float) -> None:
        self._deliver(batch.entries, now)
        if self._poison.bisections.part(batch):
            self._end_part(batch, now)
        else:
            self._poison.forget(batch)
            self._waiting.store.remove(batch.spool_id, now)

    def _deliver(self, entries: Sequence[bytes], now: float) -> None:
        self._poison.passed(len(entries), now)
        self._health.passed()
        self._stats.move(entries, Outcome.IN_FLIGHT, Outcome.SHIPPED)

    def _fail(self, result: SendResult, at: Moment) -> None:
        """Let everything wait; as after a short failure if entries may be the cause."""
        poison = self._poison.poison
        if result.blames_entries and result.healthy:
            self._health.failures = poison.failures()
        passes_soon = result.blames_entries and (result.healthy or poison.is_early())
        kind = Kind.TRANSIENT if passes_soon else result.kind
        self._health.failed(kind, at.now, self._chance(), retry.retry_after_s(result.retry_after, at.wall))
        self._report.failed(result.kind, result, at.now)

    def _divide(self, batch: Batch, groups: dict[EntryResult, list[bytes]], result: SendResult, at: Moment) -> None:
        """Handle each entry by its own result."""
        if groups[DELIVERED]:
            self._deliver(groups[DELIVERED], at.now)
        if groups[UNKNOWN]:
            self._fail(result, at)
        parts, known = self._poison.bisections, self._poison.refusals(batch).of_part()
        whole = self._poison.begin(batch)
        whole.dead += [self._dead(entry, result, at.now) for entry in groups[TOO_LARGE]]
        for entry in groups[REFUSED]:
            self._refuse(parts.add(whole, [entry], known), result, at, is_too_large=False)
        is_last = whole.open == 1
        if groups[UNKNOWN]:
            parts.wait(parts.add(whole, groups[UNKNOWN], known))
        self._end_part(batch, at.now)
        if is_last and whole.open:
            self._close(whole, at.now)

    def _refuse(self, batch: Batch, result: SendResult, at: Moment, *, is_too_large: bool) -> None:
        pace = self._health.pace
        pause = retry.wait_s(self._poison.refusals(batch).count + 1, self._chance(), pace)
        _, act, doubts = self._poison.refused(
            batch, healthy=result.healthy, is_too_large=is_too_large, now=at.now, pause=pause, pace=pace
        )
        if doubts:
            self._fail(result, at)
        if act is Act.REJECT:
            self._reject(batch, result, at.now)
        elif act is Act.WAIT or not self._poison.split(batch, at.now):
            self.put_back(batch, at.now)

    def _reject(self, batch: Batch, result: SendResult, now: float) -> None:
        dead = self._dead(batch.entries[0], result, now)
        if part := self._poison.bisections.part(batch):
            part.whole.dead.append(dead)
            self._end_part(batch, now)
        else:
            self._replace(batch, [], [dead], now)

    def _dead(self, entry: bytes, result: SendResult, now: float) -> Rejected:
        dead = Rejected(entry, printable(result.reason))
        self._report.rejected(dead.reason, now)
        return dead

    def _end_part(self, batch: Batch, now: float) -> None:
        if whole := self._poison.bisections.end(batch):
            self._close(whole, now)

    def _close(self, whole: Bisection, now: float) -> None:
        """Close a bisection: store its remaining entries and its dead letters."""
        self._replace(whole.batch, self._poison.bisections.close(whole), whole.dead, now)

    def _replace(self, batch: Batch, rest: Sequence[bytes], dead: Sequence[Rejected], now: float) -> None:
        self._poison.forget(batch)
        self._waiting.replace(batch, rest, dead, now)


def _by_result(entries: Sequence[bytes], result: SendResult) -> dict[EntryResult, list[bytes]]:
    groups: dict[EntryResult, list[bytes]] = {each: [] for each in EntryResult}
    for entry, each in zip(entries, result.results_of(len(entries)), strict=True):
        groups[each].append(entry)
    return groups
