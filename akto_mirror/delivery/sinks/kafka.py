"""Kafka: writes entries to the topic that Akto's runtime reads, one record and one delivery report for each entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from akto_mirror import counts
from akto_mirror.akto_api import without_long_payloads
from akto_mirror.delivery.sinks.base import EntryResult, SendResult
from akto_mirror.delivery.sinks.kafka_client import DELIVERED, Client
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.sinks.kafka_errors import Problem
from akto_mirror.escaping import hide_each, printable

TOO_LARGE = "larger than the topic's max.message.bytes, even without its long payloads"
LATE = Problem("_TIMED_OUT", "no acknowledgement in time")


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of an attempt, entry by entry; entries are identified by their positions in the batch.

    Attributes:
        left: entries to send again.
        rejected: entries that are too large for the topic.
        shortened: how many arrived without their long payloads.
        doubtful: how many of those in `left` may have arrived.
        problem: why some are left; `DELIVERED` if none are.
    """

    left: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()
    shortened: int = 0
    doubtful: int = 0
    problem: Problem = DELIVERED


class KafkaSink:
    """Produces batches with a client that is created for the first one, and again after each failure.

    Args:
        config: the topic and the client's properties.
        clock: monotonic seconds.
    """

    def __init__(self, config: KafkaConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._client: Client | None = None
        self._aborted = False

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Send a batch; each entry has its own result."""
        sent = self.produce(entries, timeout_s)
        entry_results = [EntryResult.DELIVERED] * len(entries)
        for number in sent.left:
            entry_results[number] = EntryResult.UNKNOWN
        for number in sent.rejected:
            entry_results[number] = EntryResult.TOO_LARGE
        if not sent.left:
            detail = TOO_LARGE if sent.rejected else ""
            return SendResult(200, detail, entry_results=entry_results, shortened=sent.shortened)
        doubt = f" ({counts.count(sent.doubtful, 'entry')} may arrive twice)" if sent.doubtful else ""
        text = printable(hide_each(sent.problem.text, self._config.secrets) + doubt, 300)
        return SendResult(
            None,
            text,
            entry_results=entry_results,
            cause=sent.problem.cause,
            shortened=sent.shortened,
            doubtful=sent.doubtful,
        )

    def produce(self, entries: Sequence[bytes], timeout_s: float) -> Sent:
        """Send entries and wait for the report of each, for `timeout_s` seconds in total.

        Entries that are refused as too large may be so only in one message set. So they are sent again one by one, and
        those that are still too large without their long payloads.
        """
        self._aborted = False
        deadline = self._clock() + timeout_s
        client = self._client = self._client or Client(self._config)
        try:
            return self._attempt(client, entries, lambda: self._aborted or self._clock() > deadline)
        finally:
            if client.is_broken:
                self._client = None

    def is_healthy(self, timeout_s: float) -> bool:
        """Return False: brokers have no health check, and each entry has its own result."""
        del timeout_s
        return False

    def abort(self) -> None:
        """End the wait for reports; entries without one may have arrived."""
        self._aborted = True

    def close(self) -> None:
        """Close the client and its threads."""
        self._client = None

    def _attempt(self, client: Client, entries: Sequence[bytes], is_over: Callable[[], bool]) -> Sent:
        problems = client.deliver(entries, is_over)
        rejected, shortened = [], 0
        for number in [number for number, problem in enumerate(problems) if problem.is_too_large]:
            if client.is_broken or is_over():
                break
            problems[number], is_short = _deliver_alone(client, entries[number], is_over)
            shortened += is_short
            if problems[number].is_too_large:
                rejected.append(number)
        left = [number for number, problem in enumerate(problems) if problem.name and number not in rejected]
        causes = [LATE, client.problem, *(problems[number] for number in left)]
        return Sent(
            tuple(left),
            tuple(rejected),
            shortened,
            sum(problems[number].is_unknown for number in left),
            max(causes, key=lambda problem: problem.rank) if left else DELIVERED,
        )


def _deliver_alone(client: Client, entry: bytes, is_over: Callable[[], bool]) -> tuple[Problem, bool]:
    """Send one entry, shortened if necessary; returns the result, and whether it arrived shortened."""
    [problem] = client.deliver([entry], is_over)
    if not problem.is_too_large:
        return problem, False
    [problem] = client.deliver([without_long_payloads(entry)], is_over)
    return problem, not problem.name
