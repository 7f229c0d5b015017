"""One producer of confluent-kafka: some records go out, and the report of each comes back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from akto_mirror.delivery.sinks import kafka_errors
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.sinks.kafka_errors import Problem

if TYPE_CHECKING:
    from confluent_kafka import Producer

logger = logging.getLogger(__name__)

INSTALL = "pip install 'akto-mirror[kafka]'"
MISSING = f"kafka:// needs a client that is not installed: {INSTALL}"

# librdkafka 2.10.0. Before it SCRAM fails, or the whole process ends where a topic has an error.
OLDEST = 0x020A0000

# Seconds between two looks whether the attempt is to end.
LOOK_S = 0.1

# Seconds for the reports of records that have been given up; they are on their way within the process.
PURGE_S = 1.0

DELIVERED = Problem()
UNSENT = Problem("_QUEUE_FULL", "the client's memory is full")
NO_REPORT = Problem("_TIMED_OUT", "no report in time")


class QuietLog:
    """Takes librdkafka's own log, which would go to standard error.

    Its errors come by `error_cb` as well, but for connections that the broker ends, as one does that expects another
    protocol.

    Args:
        note: is called with each failure of a connection, before the error if there is one.
    """

    def __init__(self, note: Callable[[Problem], None]) -> None:
        self._note = note

    def log(self, _level: int, text: str, *args: object) -> None:
        """Log a line for those who debug."""
        logger.debug(text, *args)
        line = text % args if args else text
        if line.startswith("FAIL "):  # FAIL [CLIENT] [thrd:THREAD]: BROKER: what happened
            self._note(Problem("_TRANSPORT", line.rpartition("]: ")[2]))


def new_producer(
    properties: Mapping[str, str], on_error: Callable[[Any], None], on_failure: Callable[[Problem], None]
) -> Producer:
    """Return a producer, which connects in the background.

    Args:
        properties: of the client.
        on_error: takes the client's errors.
        on_failure: takes failures of connections, as `QuietLog` does.

    Raises:
        ValueError: the client does not take a property.
    """
    from confluent_kafka import KafkaException, Producer  # noqa: PLC0415 - an extra, and loaded where it is used

    try:
        return Producer({**properties, "error_cb": on_error}, logger=QuietLog(on_failure))
    except KafkaException as error:
        raise ValueError(error.args[0].str().removeprefix("Failed to create producer: ")) from error


def require() -> None:
    """Find out whether the client is installed.

    Raises:
        ValueError: it is not, cannot be loaded, or is too old.
    """
    try:
        import confluent_kafka  # noqa: PLC0415 - as above
    except ImportError as error:
        is_missing = error.name == "confluent_kafka"
        raise ValueError(MISSING if is_missing else f"the Kafka client cannot be loaded: {error}") from error
    version, number = confluent_kafka.libversion()
    if number < OLDEST:
        raise ValueError(f"kafka:// needs a newer client than this one with librdkafka {version}: {INSTALL}")


def check(config: KafkaConfig) -> None:
    """Check the properties without connecting.

    Raises:
        ValueError: the client does not take one of them.
    """
    properties = {name: value for name, value in config.client().items() if name != "bootstrap.servers"}
    new_producer(properties, lambda _: None, lambda _: None)


class Client:
    """A producer for one topic. The first failure that is not due to a record's size is its last.

    After such a failure librdkafka may keep a topic's error until the next refresh, give up for good (the idempotent
    producer's fatal errors), or wait long before it connects again; a new producer begins afresh.

    Args:
        config: of the topic.

    Raises:
        ValueError: the client does not take a property.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self.problem = DELIVERED
        self.is_broken = False
        self._topic = config.topic
        self._was_up = False
        self._is_down = False
        self._producer = new_producer(config.client(), self._note_error, self._note_failure)

    def deliver(self, records: Sequence[bytes], is_over: Callable[[], bool]) -> list[Problem]:
        """Send records and return how each went: `DELIVERED`, or the error.

        Args:
            records: any number.
            is_over: whether to give up what has not been reported.
        """
        if self._was_up:
            self._poll(0)  # What happened since the last time explains nothing any more.
            self.problem = DELIVERED
        reports = _Reports(len(records))
        for number, record in enumerate(records):
            self._produce(record, partial(reports.note, number), is_over)
        while reports.missing and not (is_over() or self._is_hopeless()):
            self._poll(LOOK_S)
        if reports.missing:
            self._give_up(reports)
        self._was_up = self._was_up or DELIVERED in reports.found
        self.is_broken = self.is_broken or any(each.name and not each.is_too_large for each in reports.found)
        return reports.found

    def _produce(self, record: bytes, note: Callable[[Problem], None], is_over: Callable[[], bool]) -> None:
        from confluent_kafka import KafkaException  # noqa: PLC0415 - as above

        while True:
            try:
                return self._producer.produce(self._topic, record, on_delivery=lambda error, _: note(_problem(error)))
            except BufferError:  # The client's memory is full of what it has not sent.
                if is_over() or self._is_hopeless():
                    return note(UNSENT)
                self._poll(LOOK_S)
            except KafkaException as error:
                return note(_problem(error.args[0]))

    def _is_hopeless(self) -> bool:
        """Return whether nothing has been sent, nor will be: no broker has ever been reached."""
        return self._is_down and not self._was_up

    def _poll(self, seconds: float) -> None:
        from confluent_kafka import KafkaException  # noqa: PLC0415 - as above

        try:
            self._producer.poll(seconds)
        except KafkaException as error:  # A fatal error; the reports follow.
            self._note_error(error.args[0])

    def _give_up(self, reports: _Reports) -> None:
        self._producer.purge()
        deadline = time.monotonic() + PURGE_S
        while reports.missing and time.monotonic() < deadline:
            self._poll(LOOK_S)

    def _note_error(self, error: Any) -> None:
        found = _problem(error)
        self._is_down = self._is_down or found.name == kafka_errors.ALL_DOWN
        self._note(found)

    def _note_failure(self, found: Problem) -> None:
        if not self._was_up:  # Later a broker may end any connection that it no longer needs.
            self._note(found)

    def _note(self, found: Problem) -> None:
        """Keep what says most."""
        if found.rank >= self.problem.rank:
            self.problem = found


class _Reports:
    """How each of some records went; until its report comes, it may be in the topic or not."""

    def __init__(self, count: int) -> None:
        self.found = [NO_REPORT] * count
        self.missing = count

    def note(self, number: int, problem: Problem) -> None:
        self.found[number] = problem
        self.missing -= 1


def _problem(error: Any) -> Problem:
    return DELIVERED if error is None else Problem(error.name(), error.str())
