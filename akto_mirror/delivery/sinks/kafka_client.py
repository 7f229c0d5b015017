"""A producer of confluent-kafka: sends records and returns the delivery report of each."""

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

# librdkafka 2.10.0. In older releases SCRAM fails, or an error of a topic ends the whole process.
OLDEST = 0x020A0000

# Seconds between two checks whether the attempt has to end.
LOOK_S = 0.1

# Seconds to wait for the reports of records that were given up; they are already on their way within the process.
PURGE_S = 1.0

DELIVERED = Problem()
UNSENT = Problem("_QUEUE_FULL", "the client's memory is full")
NO_REPORT = Problem("_TIMED_OUT", "no report in time")


class QuietLog:
    """Receives librdkafka's own log, which would go to standard error.

    Errors are also reported to `error_cb`, except those of connections that the broker closes, for example because
    it expects another protocol.

    Args:
        note: called with each failure of a connection, before the error if there is one.
    """

    def __init__(self, note: Callable[[Problem], None]) -> None:
        self._note = note

    def log(self, _level: int, text: str, *args: object) -> None:
        """Log a line at debug level."""
        logger.debug(text, *args)
        line = text % args if args else text
        if line.startswith("FAIL "):  # FAIL [CLIENT] [thrd:THREAD]: BROKER: what happened
            self._note(Problem("_TRANSPORT", line.rpartition("]: ")[2]))


def new_producer(
    properties: Mapping[str, str], on_error: Callable[[Any], None], on_failure: Callable[[Problem], None]
) -> Producer:
    """Return a producer, which connects in the background.

    Args:
        properties: the client's properties.
        on_error: called with the client's errors.
        on_failure: called with failures of connections, as `note` of `QuietLog`.

    Raises:
        ValueError: the client does not take a property.
    """
    from confluent_kafka import KafkaException, Producer  # noqa: PLC0415 - an extra, and loaded where it is used

    try:
        return Producer({**properties, "error_cb": on_error}, logger=QuietLog(on_failure))
    except KafkaException as error:
        raise ValueError(error.args[0].str().removeprefix("Failed to create producer: ")) from error


def require() -> None:
    """Check that the client is installed.

    Raises:
        ValueError: it is not installed, cannot be loaded, or is too old.
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
        ValueError: the client rejects one of them.
    """
    properties = {name: value for name, value in config.client().items() if name != "bootstrap.servers"}
    new_producer(properties, lambda _: None, lambda _: None)


class Client:
    """A producer for one topic, to be replaced after the first failure that is not caused by a record's size.

    After such a failure librdkafka may keep a topic's error until the next refresh, fail permanently (fatal errors of
    the idempotent producer), or wait long before it connects again; a new producer does not.

    Args:
        config: the topic and the client's properties.

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
        """Send records and return the result of each: `DELIVERED`, or the error.

        Args:
            records: any number of records.
            is_over: returns whether to give up records that have not been reported.
        """
        if self._was_up:
            self._poll(0)  # Earlier failures of connections do not explain new errors.
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
            except BufferError:  # The client's buffer is full of unsent records.
                if is_over() or self._is_hopeless():
                    return note(UNSENT)
                self._poll(LOOK_S)
            except KafkaException as error:
                return note(_problem(error.args[0]))

    def _is_hopeless(self) -> bool:
        """Return whether nothing was or will be sent, because no broker has ever been reached."""
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
        if not self._was_up:  # Later a broker may close any connection that it no longer needs.
            self._note(found)

    def _note(self, found: Problem) -> None:
        """Keep the most informative error."""
        if found.rank >= self.problem.rank:
            self.problem = found


class _Reports:
    """The results of some records; until its report arrives, a record may or may not be in the topic."""

    def __init__(self, count: int) -> None:
        self.found = [NO_REPORT] * count
        self.missing = count

    def note(self, number: int, problem: Problem) -> None:
        self.found[number] = problem
        self.missing -= 1


def _problem(error: Any) -> Problem:
    return DELIVERED if error is None else Problem(error.name(), error.str())
