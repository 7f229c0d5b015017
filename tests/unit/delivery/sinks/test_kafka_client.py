"""One producer: required versions, delivery reports, and errors in librdkafka's log."""

from __future__ import annotations

import logging
import sys
from importlib import metadata

import confluent_kafka
import pytest

from akto_mirror.delivery.sinks import kafka_client
from akto_mirror.delivery.sinks.kafka_client import DELIVERED, UNSENT, Client, QuietLog
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.sinks.kafka_errors import Problem
from tests.support import kafka
from tests.support.kafka import TOPIC, MockCluster

LOST = "localhost:9092/bootstrap: Disconnected: connection closed by peer (after 0ms in state APIVERSION_QUERY)"


def never() -> bool:
    """Never abort."""
    return False


def test_a_client_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install the client."""
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ValueError, match=r"pip install 'akto-mirror\[kafka\]'"):
        kafka_client.require()


def test_a_client_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that would crash later is refused; the installed one passes."""
    kafka_client.require()
    monkeypatch.setattr(confluent_kafka, "libversion", lambda: ("2.9.9", 0x020909FF))
    with pytest.raises(ValueError, match=r"librdkafka 2\.9\.9: pip install 'akto-mirror\[kafka\]'"):
        kafka_client.require()
    monkeypatch.setattr(confluent_kafka, "libversion", lambda: ("2.10.0", 0x020A00FF))
    kafka_client.require()
    assert 'confluent-kafka>=2.10; extra == "kafka"' in (metadata.requires("akto-mirror") or ())


def test_a_property_that_is_not_taken_is_named() -> None:
    """The error is librdkafka's, without a connection."""
    with pytest.raises(ValueError, match=r'^No such configuration property: "no.such"'):
        kafka_client.check(KafkaConfig(("b:9092",), TOPIC, (("no.such", "1"),)))


def test_failures_of_connections_are_taken_from_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Connection errors are taken from the log; other lines are logged at debug level."""
    found: list[Problem] = []
    log = QuietLog(found.append)
    with caplog.at_level(logging.DEBUG):
        log.log(20, "%s [%s] [thrd:%s]: %s", "FAIL", "akto-mirror#producer-1", "localhost:9092/bootstrap", LOST)
        log.log(20, "%s [%s] %s", "TERMINATE", "akto-mirror#producer-1", "closing")
    assert found == [Problem("_TRANSPORT", LOST)]
    assert "TERMINATE [akto-mirror#producer-1] closing" in caplog.text


def test_each_record_has_its_own_report() -> None:
    """There is one report per record, in order, including the delivered ones."""
    with MockCluster() as cluster:
        client = Client(KafkaConfig(cluster.brokers, TOPIC, (("message.max.bytes", "1000"), ("batch.size", "1000"))))
        found = client.deliver([b"one", b"x" * 2000, b"two"], never)
        assert [problem.is_too_large for problem in found] == [False, True, False]
        assert [found[0], found[2]] == [DELIVERED, DELIVERED]
        assert not client.is_broken
        assert sorted(cluster.values(2)) == [b"one", b"two"]


def test_the_first_failure_that_is_not_due_to_a_size_is_the_last() -> None:
    """After an error other than a size, the client is replaced."""
    with MockCluster() as cluster:
        client = Client(KafkaConfig(cluster.brokers, TOPIC))
        cluster.fail(kafka.PRODUCE, kafka.TOPIC_DENIED)
        assert client.deliver([b"one"], never)[0].name == "TOPIC_AUTHORIZATION_FAILED"
        assert client.is_broken


def test_what_never_left_the_process_is_not_in_doubt() -> None:
    """A record is not in doubt if it never left the client because its queue was full."""
    client = Client(KafkaConfig(("127.0.0.1:1",), TOPIC, (("queue.buffering.max.messages", "1"),)))
    found = client.deliver([b"one", b"two"], never)
    assert found[1] == UNSENT
    assert not any(problem.is_unknown for problem in found)
    assert "Connection refused" in client.problem.text
