"""The steps of a check of a topic, without brokers."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (  # type: ignore[attr-defined] # They are not in its `__all__`.
    AclOperation,
    ClusterMetadata,
    ConfigEntry,
    PartitionMetadata,
    TopicMetadata,
)

from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.sinks.kafka_errors import Problem
from akto_mirror.delivery.sinks.symptoms import Cause
from akto_mirror.diagnostics import kafka_checks
from akto_mirror.diagnostics.kafka_checks import KafkaTarget, _Talk
from akto_mirror.diagnostics.target import CheckError


def target(*brokers: str, **properties: str) -> KafkaTarget:
    """Return a target; underscores in the names of properties become dots."""
    given = tuple((name.replace("_", "."), value) for name, value in properties.items())
    return KafkaTarget(KafkaConfig(brokers or ("b:9092",), "t", given), 2)


def talk(error: KafkaError | None = None, leaders: tuple[int, ...] = (), **properties: str) -> _Talk:
    """Return a check in which the cluster has answered."""
    made: Any = _Talk(target(**properties))
    found = TopicMetadata()
    found.error = error
    for number, leader in enumerate(leaders):
        found.partitions[number] = partition = PartitionMetadata()
        partition.leader = leader
    made._cluster, made._admin = ClusterMetadata(), object()
    made._cluster.cluster_id, made._cluster.topics = "c", {"t": found}
    return made  # type: ignore[no-any-return] # Its parts are set from outside.


@pytest.mark.parametrize(
    ("protocol", "more"),
    [("plaintext", []), ("ssl", ["TLS"]), ("sasl_plaintext", ["SASL"]), ("sasl_ssl", ["TLS", "SASL"])],
)
def test_steps_follow_the_protocol(protocol: str, more: list[str]) -> None:
    """TLS and login are checked if the protocol has them; an entry is sent on request only."""
    made = target(security_protocol=protocol, sasl_username="u", sasl_password="p")
    names = [name for name, _ in kafka_checks.steps(made, send=False)]
    assert names == ["connect", *more, "brokers", "topic", "may write", "largest entry"]
    assert [name for name, _ in kafka_checks.steps(made, send=True)] == [*names, "test entry"]


def test_one_broker_of_several_is_enough() -> None:
    """Other brokers are named with their problem; if no broker can be reached, the step fails."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        there, gone = (f"127.0.0.1:{each.getsockname()[1]}" for each in (listener, unused))
        assert kafka_checks._connect(target(gone, there)) == f"{there}; not {gone}: Connection refused"
        with pytest.raises(CheckError) as failed:
            kafka_checks._connect(target(gone))
    assert (failed.value.cause, failed.value.detail) == (Cause.NO_BROKER, f"{gone}: Connection refused")


def test_a_topic_has_partitions_with_leaders() -> None:
    """Partitions without a leader are named by number."""
    assert talk(leaders=(1, 2)).topic() == "t, 2 partitions"
    assert talk(leaders=(1,)).topic() == "t, 1 partition"
    with pytest.raises(CheckError) as failed:
        talk(leaders=(1, -1, -1)).topic()
    assert failed.value.cause is Cause.NO_LEADER
    assert failed.value.detail.endswith(": 1, 2")


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Cause.NO_TOPIC),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Cause.TOPIC_RIGHTS),
    ],
)
def test_a_topic_that_cannot_be_seen_has_a_cause(number: int, cause: Cause) -> None:
    """The error has a cause, which says what to do."""
    with pytest.raises(CheckError) as failed:
        talk(KafkaError(number)).topic()
    assert failed.value.cause is cause
    assert failed.value.detail.startswith("t: ")


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(("WRITE", "DESCRIBE"), "yes"), (("ALL",), "yes"), ((), "not known"), (("READ", "DESCRIBE"), None)],
)
def test_the_right_to_write(allowed: tuple[str, ...], expected: str | None) -> None:
    """A missing right is found before anything is sent, if the broker lists rights."""
    made: Any = talk()
    made._ask = lambda _: SimpleNamespace(authorized_operations=[AclOperation[each] for each in allowed])
    if expected is not None:
        return expect_start(made.rights(), expected)
    with pytest.raises(CheckError) as failed:
        made.rights()
    assert failed.value.cause is Cause.TOPIC_RIGHTS
    return None


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("1048588", "1048588 bytes (compressed), enough for every entry; what the topic refuses"),
        ("500000", "500000 bytes (compressed), the largest entry has 1000000; what the topic refuses"),
        (None, "not known; what the topic refuses"),
    ],
)
def test_the_topic_s_limit_is_compared_with_the_largest_entry(limit: str | None, expected: str) -> None:
    """The limit may be unknown: not every user may read it, and some brokers have none."""
    made: Any = talk()
    made._ask = lambda _: None if limit is None else {"max.message.bytes": ConfigEntry("max.message.bytes", limit)}
    expect_start(made.limit(), expected)


def expect_start(line: str, start: str) -> None:
    """Fail, showing the line, unless it starts with the text."""
    assert line[: len(start)] == start


def test_the_user_of_a_login_is_named() -> None:
    """The step names the user and never the password, and says if no broker has answered yet."""
    made = talk(sasl_mechanisms="PLAIN", sasl_username="ann", sasl_password="hunter2")
    assert made.sasl() == "PLAIN as ann"
    made._cluster = None
    assert made.sasl() == "PLAIN as ann, not refused so far"
    made._note(Problem("_AUTHENTICATION", "refused"))
    with pytest.raises(CheckError, match="refused"):
        made.sasl()
    assert target(sasl_password="hunter2").secrets == ("hunter2",)


def test_brokers_that_do_not_answer_are_waited_for_in_bounds() -> None:
    """Without an answer in time the step fails."""
    made: Any = talk()
    assert made.brokers() == "0 in the cluster c"
    made._cluster = None
    with pytest.raises(CheckError, match="no answer in time"):
        made.brokers()
