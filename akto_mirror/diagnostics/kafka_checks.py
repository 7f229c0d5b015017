"""The steps of `akto-mirror check kafka://…`: tests the connection to Akto's topic, and suggests remedies."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from akto_mirror.akto_api import MAX_RECORD_BYTES
from akto_mirror.counts import count
from akto_mirror.delivery.sinks import kafka_config, network_errors
from akto_mirror.delivery.sinks.kafka import KafkaSink
from akto_mirror.delivery.sinks.kafka_client import QuietLog
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.sinks.kafka_errors import ALL_DOWN, Problem
from akto_mirror.delivery.sinks.symptoms import Cause
from akto_mirror.diagnostics.questions import TEST_HOST, TEST_PATH, test_entry
from akto_mirror.diagnostics.target import CheckError, reason

if TYPE_CHECKING:
    from confluent_kafka.admin import ClusterMetadata  # type: ignore[attr-defined]  # It is not in its `__all__`.

TLS_CAUSES = frozenset({Cause.KAFKA_CERTIFICATE, Cause.KAFKA_NO_TLS})

# Causes whose remedy is different for a broker than for Akto's service.
OF_KAFKA = {
    Cause.EXPIRED: Cause.KAFKA_EXPIRED,
    **dict.fromkeys((Cause.SELF_SIGNED, Cause.UNKNOWN_ISSUER, Cause.UNTRUSTED), Cause.KAFKA_ISSUER),
}

SHORTENED = "what the topic refuses is sent without its long payloads"

# The fraction of a step's time-out that the client gets, so that its own error is shown instead of the step's.
SHARE = 0.8

# The fractions of a step's time-out for two attempts: a short one for lasting errors, and one for all others.
SHARES = (SHARE / 8, SHARE * 7 / 8)


@dataclass(frozen=True)
class KafkaTarget:
    """The brokers to check; `timeout` is in seconds for each step."""

    config: KafkaConfig
    timeout: float = 10

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown."""
        return self.config.secrets


def steps(target: KafkaTarget, *, send: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    """Return the steps by name; each depends on those before it."""
    config, talk = target.config, _Talk(target)
    properties = config.client()
    yield "connect", partial(_connect, target)
    if kafka_config.is_tls(properties):
        yield "TLS", talk.tls
    if kafka_config.is_sasl(properties):
        yield "SASL", talk.sasl
    yield "brokers", talk.brokers
    yield "topic", talk.topic
    yield "may write", talk.rights
    yield "largest entry", talk.limit
    if send:
        yield "test entry", partial(_send, target)


def _connect(target: KafkaTarget) -> str:
    """Connect to each of the given brokers; one success is enough."""
    found, failed = [], []
    for broker in target.config.brokers:
        try:
            _open_socket(target, broker).close()
        except (OSError, UnicodeError) as error:
            failed.append(f"{broker}: {reason(error)}")
        else:
            found.append(broker)
    if not found:
        raise CheckError(Cause.NO_BROKER, "; ".join(failed))
    return ", ".join(found) + "".join(f"; not {each}" for each in failed)


def _open_socket(target: KafkaTarget, broker: str) -> socket.socket:
    timeout = SHARE * target.timeout / len(target.config.brokers)
    return socket.create_connection((_host(broker), int(broker.rpartition(":")[2])), timeout)


def _host(broker: str) -> str:
    return broker.rpartition(":")[0].strip("[]")


def _certificate_error(target: KafkaTarget) -> CheckError | None:
    """Return Python's error for the first broker's certificate; librdkafka's is not specific."""
    properties, broker = target.config.client(), target.config.brokers[0]
    try:
        context = _trusting(Path(properties["ssl.ca.location"]))
        context.check_hostname = properties.get("ssl.endpoint.identification.algorithm", "https") != "none"
        with _open_socket(target, broker) as plain:
            context.wrap_socket(plain, server_hostname=_host(broker)).close()
    except ssl.SSLCertVerificationError as error:
        cause = network_errors.cause(error)
        return CheckError(OF_KAFKA.get(cause, cause), f"{cause.sentence} ({error.verify_message})")
    except OSError:
        pass
    return None


def _trusting(authorities: Path) -> ssl.SSLContext:
    if authorities.is_dir():
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities if authorities.is_file() else None)


class _Talk:
    """A session with the brokers, whose first response several steps use.

    Args:
        target: the brokers to ask.
    """

    def __init__(self, target: KafkaTarget) -> None:
        self._target = target
        self._problem = Problem("_TIMED_OUT", "no answer in time")
        self._is_down = False
        self._cluster: ClusterMetadata | None = None
        self._admin: Any = None

    def tls(self) -> str:
        """Check that the TLS handshake succeeded."""
        self._begin()
        if self._problem.name == "_SSL" or self._problem.cause in TLS_CAUSES:
            raise _certificate_error(self._target) or self._error()
        return "the certificate is trusted" if self._cluster else "nothing is wrong with it so far"

    def sasl(self) -> str:
        """Check that the user was accepted."""
        self._begin()
        if "AUTH" in self._problem.name:
            raise self._error()
        properties = self._target.config.client()
        user = f"{properties.get('sasl.mechanisms', '')} as {properties.get('sasl.username', 'this client')}"
        return user if self._cluster else f"{user}, not refused so far"

    def brokers(self) -> str:
        """Check that the brokers responded."""
        self._begin()
        if self._cluster is None:
            raise self._error()
        return f"{len(self._cluster.brokers)} in the cluster {self._cluster.cluster_id}"

    def topic(self) -> str:
        """Check that the topic exists, and that each of its partitions has a leader."""
        assert self._cluster is not None  # noqa: S101 - the step before requires it; for the type checker
        found = self._cluster.topics[self._target.config.topic]
        if found.error is not None:
            problem = Problem(found.error.name(), found.error.str())
            raise CheckError(problem.cause, f"{self._target.config.topic}: {problem.text}")
        orphans = [str(number) for number, partition in found.partitions.items() if partition.leader < 0]
        if orphans:
            raise CheckError(Cause.NO_LEADER, f"{Cause.NO_LEADER.sentence}: {', '.join(orphans)}")
        return f"{self._target.config.topic}, {count(len(found.partitions), 'partition')}"

    def rights(self) -> str:
        """Check that the user may write; few brokers allow every user to query that."""
        from confluent_kafka import TopicCollection  # noqa: PLC0415 - an extra

        topic = self._target.config.topic
        asked = TopicCollection([topic])
        found = self._ask(lambda **how: self._admin.describe_topics(asked, include_authorized_operations=True, **how))
        rights = {each.name for each in getattr(found, "authorized_operations", None) or ()}
        if rights and not rights & {"WRITE", "ALL"}:
            raise CheckError(Cause.TOPIC_RIGHTS, "no")
        return "yes" if rights else "not known; --send finds out"

    def limit(self) -> str:
        """Compare the topic's limit with the largest entry."""
        from confluent_kafka import admin  # noqa: PLC0415 - an extra

        asked = [admin.ConfigResource(admin.ResourceType.TOPIC, self._target.config.topic)]  # type: ignore[attr-defined]
        found = self._ask(lambda **how: self._admin.describe_configs(asked, **how)) or {}
        if "max.message.bytes" not in found:
            return f"not known; {SHORTENED}"
        limit = int(found["max.message.bytes"].value)
        enough = "enough for every entry" if limit >= MAX_RECORD_BYTES else f"the largest entry has {MAX_RECORD_BYTES}"
        return f"{limit} bytes (compressed), {enough}; {SHORTENED}"

    def _begin(self) -> None:
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - as above

        if self._admin is not None:
            return
        config = self._target.config
        properties: dict[str, Any] = {**config.client(), "error_cb": lambda error: self._note(_problem(error))}
        self._admin = AdminClient(properties, logger=QuietLog(self._note))
        for share in SHARES:
            try:
                self._cluster = self._admin.list_topics(config.topic, timeout=share * self._target.timeout)
            except KafkaException as error:
                self._admin.poll(0)
                self._note(_problem(error.args[0]))
            if self._cluster is not None or (self._is_down and self._problem.is_lasting):
                break

    def _note(self, found: Problem) -> None:
        self._is_down = self._is_down or found.name == ALL_DOWN
        if found.rank > self._problem.rank:
            self._problem = found

    def _error(self) -> CheckError:
        return CheckError(self._problem.cause, self._problem.text)

    def _ask(self, question: Callable[..., dict[Any, Any]]) -> Any:
        """Return the response to a query that not every broker supports and not every user may make, or None."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        seconds = SHARE * self._target.timeout / 2
        try:
            [future] = question(request_timeout=seconds).values()
            return future.result(2 * seconds)
        except (KafkaException, TimeoutError):
            return None


def _problem(error: Any) -> Problem:
    return Problem(error.name(), error.str())


def _send(target: KafkaTarget) -> str:
    sent = KafkaSink(target.config).produce([msgspec.json.encode(test_entry(int(time.time())))], SHARE * target.timeout)
    if sent.left or sent.rejected:
        raise CheckError(sent.problem.cause, sent.problem.text)
    return f"delivered, look for GET {TEST_PATH} in the collection {TEST_HOST}"
