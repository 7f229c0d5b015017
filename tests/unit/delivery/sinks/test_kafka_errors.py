"""Causes of Kafka's errors; the texts are librdkafka's."""

from __future__ import annotations

import pytest

from akto_mirror.delivery.sinks.kafka_errors import Problem
from akto_mirror.delivery.sinks.symptoms import Kind

HANDSHAKE = (
    "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: X"
)


@pytest.mark.parametrize(
    ("name", "text", "kind", "hint"),
    [
        ("_AUTHENTICATION", "SASL authentication error: Authentication failed", Kind.AUTH, "AKTO_KAFKA_PASSWORD"),
        ("_AUTHENTICATION", HANDSHAKE, Kind.AUTH, "AKTO_KAFKA_SASL_MECHANISM"),
        ("_AUTHENTICATION", "mechanism handshake failed: Local: Broker transport failure", Kind.TRANSIENT, "PROTOCOL"),
        ("TOPIC_AUTHORIZATION_FAILED", "", Kind.AUTH, "Write"),
        ("UNKNOWN_TOPIC_OR_PART", "Broker: Unknown topic or partition", Kind.SETUP, "create the topic"),
        ("_SSL", "SSL handshake failed: certificate verify failed", Kind.TRANSIENT, "ssl.ca.location"),
        ("_TRANSPORT", "Disconnected: connection closed by peer (in state UP)", Kind.TRANSIENT, "PROTOCOL"),
        ("_TRANSPORT", "Disconnected: connection reset by peer (after 30ms in state UP)", Kind.TRANSIENT, "PROTOCOL"),
        ("_TRANSPORT", "Connect to ipv4#127.0.0.1:9092 failed: Connection refused", Kind.TRANSIENT, "start the broker"),
        ("_TRANSPORT", "might be caused by incorrect security.protocol configuration", Kind.TRANSIENT, "PROTOCOL"),
        ("_TRANSPORT", "verify that security.protocol is correctly configured", Kind.TRANSIENT, "PROTOCOL"),
        ("NOT_ENOUGH_REPLICAS", "Broker: Not enough in-sync replicas", Kind.TRANSIENT, "akto-mirror check"),
    ],
)
def test_an_error_says_what_to_do(name: str, text: str, kind: Kind, hint: str) -> None:
    """Each error has a remedy, and a kind that says whether it may pass."""
    assert Problem(name, text).cause.kind is kind
    assert hint in Problem(name, text).cause.remedy


def test_what_lasts_is_not_waited_for() -> None:
    """Errors of certificates, logins and topics last, unlike those of a broker that is starting."""
    lasting = ["_SSL", "_RESOLVE", "_AUTHENTICATION", "TOPIC_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_OR_PART"]
    assert all(Problem(name).is_lasting for name in lasting)
    assert not any(Problem(name).is_lasting for name in ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT"))


def test_the_cause_is_worth_more_than_the_symptom() -> None:
    """Causes rank above their symptoms: a wrong password ends connections, which ends brokers and deadlines."""
    names = ["", "_PURGE_QUEUE", "_ALL_BROKERS_DOWN", "_TRANSPORT", "_AUTHENTICATION"]
    ranks = [Problem(name).rank for name in names]
    assert ranks == sorted(ranks)
    assert ranks[1] < ranks[2] < ranks[3] < ranks[4]
