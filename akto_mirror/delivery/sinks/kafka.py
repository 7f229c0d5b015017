"""A topic of Kafka, from which Akto's runtime reads: one record an entry, and one verdict an entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from akto_mirror.akto_api import without_long_payloads
from akto_mirror.delivery.sinks.base import EntryVerdict, SendResult
from akto_mirror.delivery.sinks.kafka_client import DELIVERED, Client
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.sinks.kafka_errors import Problem
from akto_mirror.escaping import hide_each, printable

TOO_LARGE = "larger than the topic's max.message.bytes, even without its payloads"
LATE = Problem("_TIMED_OUT", "no acknowledgement in time")


@dataclass(frozen=True, slots=True)
class Sent:
    """How an attempt went, entry by entry; the entries go by their places in the batch.

    Attributes:
        left: those to send again.
        rejected: those that the topic will never take.
        shortened: how many arrived without their long payloads.
        doubtful: how many of those left may have arrived.
        problem: why some are left; `DELIVERED` if none are.
    """

    left: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()
    shortened: int = 0
    doubtful: int = 0
    problem: Problem = DELIVERED


class KafkaSink:
    """Produces batches with a client that is made at the first of them, and again after each failure.

    Args:
        config: which topic, and how.
        clock: monotonic seconds.
    """

    def __init__(self, config: KafkaConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._client: Client | None = None
        self._aborted = False

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Send a batch; each entry has a verdict of its own."""
        sent = self.produce(entries, timeout_s)
        verdicts = [EntryVerdict.DELIVERED] * len(entries)
        for number in sent.left:
            verdicts[number] = EntryVerdict.UNKNOWN
        for number in sent.rejected:
            verdicts[number] = EntryVerdict.TOO_LARGE
        if not sent.left:
            detail = TOO_LARGE if sent.rejected else ""
            return SendResult(200, detail, verdicts=verdicts, shortened=sent.shortened)
        doubt = f" ({sent.doubtful} entries may arrive twice)" if sent.doubtful else ""
        text = printable(hide_each(sent.problem.text, self._config.secrets) + doubt, 300)
        return SendResult(
            None,
            text,
            verdicts=verdicts,
            cause=sent.problem.cause,
            shortened=sent.shortened,
            doubtful=sent.doubtful,
        )

    def produce(self, entries: Sequence[bytes], timeout_s: float) -> Sent:
        """Send entries and wait for the report of each, for `timeout_s` seconds in all.

        Those that are refused as too large may only be too large together, so they are sent again one by one, and those
        that are too large alone without their long payloads.
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
        """Return that brokers have no health check; each entry has a verdict of its own."""
        del timeout_s
        return False

    def abort(self) -> None:
        """End the wait for reports; what has none may have arrived."""
        self._aborted = True

    def close(self) -> None:
        """End the client, and with it its threads."""
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
    """Send one entry, if need be shortened; returns how that went, and whether it arrived shortened."""
    [problem] = client.deliver([entry], is_over)
    if not problem.is_too_large:
        return problem, False
    [problem] = client.deliver([without_long_payloads(entry)], is_over)
    return problem, not problem.name
