"""`akto-mirror check kafka://…`: each step reports its result, and what to do."""

from __future__ import annotations

import json

import pytest

from akto_mirror import cli
from tests.support import kafka
from tests.support.kafka import Broker, MockCluster


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command; returns its exit code and output."""
    code = cli.main(["check", *arguments])
    return code, capsys.readouterr().out


def test_a_real_broker_passes_and_gets_the_entry(capsys: pytest.CaptureFixture[str]) -> None:
    """All steps pass, and one marked entry is sent if requested."""
    with Broker() as broker:
        broker.create()
        code, out = check(capsys, broker.url, "--send")
        assert code == 0, out
        assert "✓ topic            akto.api.logs, 3 partitions" in out
        assert "✓ test entry       delivered" in out
        [value] = broker.values(1)
        assert json.loads(value)["path"] == "/akto-mirror/test-entry"


def test_what_fails_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The failure is named: nothing listens, the topic is missing or not permitted, or a property is wrong."""
    code, out = check(capsys, "kafka://127.0.0.1:1", "--timeout", "2")
    assert code == 1
    assert "✗ connect          127.0.0.1:1: Connection refused" in out
    with MockCluster() as cluster:
        cluster.set_topic_error(kafka.UNKNOWN_TOPIC)
        code, out = check(capsys, cluster.url, "--timeout", "2")
        assert code == 1
        assert "✗ topic" in out
        assert "create the topic" in out
        cluster.set_topic_error(kafka.TOPIC_DENIED)
        assert "Write on the topic" in check(capsys, cluster.url, "--timeout", "2")[1]
    assert cli.main(["check", "kafka://b", "--kafka", "no.such=hunter2"]) == 2


def test_a_property_of_kafka_is_for_kafka(capsys: pytest.CaptureFixture[str]) -> None:
    """With another kind of address a property is refused, because it would have no effect."""
    assert cli.main(["check", "--kafka", "linger.ms=1", "http://127.0.0.1:1"]) == 2
    assert "--kafka is for a kafka:// address" in capsys.readouterr().err


def test_a_broker_that_wants_a_login_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SASL is a separate step, and no line shows the password."""
    broker = Broker()
    broker.start("--authentication")
    try:
        monkeypatch.setenv("AKTO_KAFKA_USERNAME", "akto")
        monkeypatch.setenv("AKTO_KAFKA_PASSWORD", "hunter2")
        monkeypatch.setenv("AKTO_KAFKA_SASL_MECHANISM", "SCRAM-SHA-256")
        code, out = check(capsys, broker.url, "--timeout", "5")
    finally:
        broker.kill()
    assert code == 1
    assert "✗ SASL" in out
    assert "AKTO_KAFKA_PASSWORD" in out
    assert "hunter2" not in out


def test_a_protocol_that_the_port_does_not_speak_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """TLS to a port without TLS is reported."""
    with MockCluster(1) as cluster:
        code, out = check(capsys, cluster.url, "--kafka", "security.protocol=ssl", "--timeout", "5")
    assert code == 1
    assert "✗" in out
    assert "AKTO_KAFKA_SECURITY_PROTOCOL" in out
