"""Kafka behind TLS and a login, in front of a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from akto_mirror import cli
from akto_mirror.config import kafka as kafka_options
from akto_mirror.delivery.sinks.base import EntryResult
from akto_mirror.delivery.sinks.kafka import KafkaSink, Sent
from akto_mirror.delivery.sinks.symptoms import Kind
from tests.support import kafka
from tests.support.certs import Identity, make_identity
from tests.support.kafka import Broker, MockCluster
from tests.support.kafka_door import MECHANISMS, Door

pytestmark = pytest.mark.oldest

ENTRIES = [b'{"path":"/%d"}' % number for number in range(5)]
USERS = {"akto": "hunter2"}
LOGIN = {"AKTO_KAFKA_USERNAME": "akto", "AKTO_KAFKA_PASSWORD": "hunter2"}


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    """A certificate that tests can trust explicitly."""
    return make_identity(tmp_path)


@contextmanager
def behind(
    identity: Identity | None, users: Mapping[str, str] | None = None, mechanisms: Sequence[str] = MECHANISMS
) -> Iterator[Door]:
    """Run a broker that is reachable only through a door."""
    with Door(identity.server_context() if identity else None, users, mechanisms) as door:
        broker = Broker(advertised=f"localhost:{door.port}")
        with broker:
            door.broker = broker.port
            broker.create()
            yield door


def sink(door: Door, environ: Mapping[str, str], *properties: str) -> KafkaSink:
    """Return a sink to the broker behind a door."""
    return sink_to(f"kafka://localhost:{door.port}", environ, *properties)


def sink_to(url: str, environ: Mapping[str, str], *properties: str) -> KafkaSink:
    """Return a sink configured by options and environment variables."""
    found = kafka_options.sink(url, properties, environ)
    assert found is not None
    assert found.kafka is not None
    return KafkaSink(found.kafka)


def trusting(identity: Identity) -> str:
    """Return the property that sets the trusted authority."""
    return f"ssl.ca.location={identity.ca}"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_login_over_tls(identity: Identity, mechanism: str) -> None:
    """Akto's own variables are enough, except for an authority that the system does not trust."""
    environ = LOGIN | {"AKTO_KAFKA_SASL_MECHANISM": mechanism, "AKTO_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    with behind(identity, USERS) as door:
        assert sink(door, environ, trusting(identity)).produce(ENTRIES, 20) == Sent()
        assert set(door.logins) == {(mechanism, "akto")}
        reader = {"security.protocol": "sasl_ssl", "sasl.mechanisms": "PLAIN", "ssl.ca.location": str(identity.ca)}
        login = {"sasl.username": "akto", "sasl.password": "hunter2"}
        found = kafka.values((f"localhost:{door.port}",), len(ENTRIES), properties=reader | login)
    assert sorted(found) == ENTRIES


def test_a_user_s_name_is_enough_for_a_login_in_the_clear() -> None:
    """A user name alone means PLAIN without TLS, as in Akto's own programs."""
    with behind(None, USERS) as door:
        assert sink(door, LOGIN).produce(ENTRIES, 20) == Sent()
        assert set(door.logins) == {("PLAIN", "akto")}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_password_that_is_corrected_at_the_broker_costs_nothing(mechanism: str) -> None:
    """The broker's refusal is reported, and the same sink delivers once the broker accepts the user."""
    with behind(None, {"akto": "another"}) as door:
        to = sink(door, LOGIN | {"AKTO_KAFKA_SASL_MECHANISM": mechanism})
        sent = to.produce(ENTRIES, 20)
        assert len(sent.left) == len(ENTRIES)
        assert (sent.problem.name, sent.problem.cause.kind, sent.doubtful) == ("_AUTHENTICATION", Kind.AUTH, 0)
        assert "AKTO_KAFKA_PASSWORD" in sent.problem.cause.remedy
        door.users["akto"] = "hunter2"
        assert to.produce(ENTRIES, 20) == Sent()


def test_a_mechanism_that_the_broker_does_not_have_is_named() -> None:
    """The error names the broker's own mechanisms."""
    with behind(None, USERS, ["SCRAM-SHA-512"]) as door:
        sent = sink(door, LOGIN).produce(ENTRIES, 20)
    assert "SCRAM-SHA-512" in sent.problem.text
    assert "AKTO_KAFKA_SASL_MECHANISM" in sent.problem.cause.remedy


def test_a_certificate_that_is_not_trusted_is_named(identity: Identity) -> None:
    """Nothing is sent; the remedy is to set the trusted authority."""
    with behind(identity) as door:
        sent = sink(door, {}, "security.protocol=ssl").produce(ENTRIES, 20)
    assert (len(sent.left), sent.doubtful) == (len(ENTRIES), 0)
    assert "ssl.ca.location" in sent.problem.cause.remedy


def test_a_certificate_that_has_expired_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The client only says that verification failed; `check` says that the certificate expired."""
    identity = make_identity(tmp_path, expired=True)
    with behind(identity) as door:
        sent = sink(door, {}, "security.protocol=ssl", trusting(identity)).produce(ENTRIES, 20)
        url, tls = f"kafka://localhost:{door.port}", ("--kafka", "security.protocol=ssl", "--timeout", "20")
        assert cli.main(["check", url, *tls, "--kafka", trusting(identity)]) == 1
        assert "✗ TLS              the certificate has expired" in capsys.readouterr().out
        assert cli.main(["check", url, *tls]) == 1
        assert "issuer is not trusted here" in capsys.readouterr().out
    assert (len(sent.left), sent.doubtful) == (len(ENTRIES), 0)
    assert "or renew it; `akto-mirror check` finds out which" in sent.problem.cause.remedy


@pytest.mark.parametrize(
    ("is_tls", "users", "protocol"),
    [
        pytest.param(False, {}, "ssl", id="TLS asked of a port without"),
        pytest.param(True, {}, "plaintext", id="none asked of a port with TLS"),
        pytest.param(False, USERS, "plaintext", id="no login where one is asked for"),
        pytest.param(True, USERS, "sasl_plaintext", id="a login in the clear where TLS is asked for"),
    ],
)
def test_another_protocol_than_the_broker_s_is_named(
    identity: Identity, is_tls: bool, users: Mapping[str, str], protocol: str
) -> None:
    """The error names the variable that selects the protocol."""
    with behind(identity if is_tls else None, users) as door:
        environ = {"AKTO_KAFKA_SECURITY_PROTOCOL": protocol} | (LOGIN if protocol.startswith("sasl") else {})
        sent = sink(door, environ).produce(ENTRIES, 4)
    assert len(sent.left) == len(ENTRIES)
    assert "AKTO_KAFKA_SECURITY_PROTOCOL" in sent.problem.cause.remedy


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_login_where_none_is_asked_for_is_named(mechanism: str) -> None:
    """Apache Kafka, Tansu and the mock cluster refuse a login differently; each refusal is recognised."""
    environ = LOGIN | {"AKTO_KAFKA_SASL_MECHANISM": mechanism}
    with behind(None, USERS, mechanisms=()) as door:
        remedies = [
            refused(f"kafka://localhost:{door.port}", environ),
            refused(f"kafka://127.0.0.1:{door.broker}", environ),
        ]
    with MockCluster(1) as cluster:
        remedies.append(refused(cluster.url, environ))
    names = ["AKTO_KAFKA_SECURITY_PROTOCOL", "unset AKTO_KAFKA_USERNAME", "AKTO_KAFKA_SECURITY_PROTOCOL"]
    assert [name in remedy for name, remedy in zip(names, remedies, strict=True)] == [True] * 3, remedies


def refused(url: str, environ: Mapping[str, str]) -> str:
    """Send a batch that is certainly refused, and return the remedy."""
    sent = sink_to(url, environ).produce(ENTRIES, 20)
    assert (len(sent.left), sent.doubtful) == (len(ENTRIES), 0)
    return sent.problem.cause.remedy


def test_a_check_passes_tls_and_the_login(
    identity: Identity, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS and the login are separate steps, and no line shows the password."""
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AKTO_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("AKTO_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    with behind(identity, USERS) as door:
        code = cli.main(["check", f"kafka://localhost:{door.port}", "--kafka", trusting(identity), "--send"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert "✓ TLS              the certificate is trusted" in out
    assert "✓ SASL             SCRAM-SHA-512 as akto" in out
    assert "✓ test entry       delivered" in out
    assert "hunter2" not in out


def test_what_was_sent_and_not_acknowledged_may_arrive_twice() -> None:
    """The attempt reports that the batch may have arrived, and the next one sends it again."""
    with behind(None) as door:
        to = sink(door, {})
        assert to.produce(ENTRIES[:1], 20) == Sent()
        door.hold()
        result = to.send(ENTRIES[1:], 2)
        assert set(result.entry_results) == {EntryResult.UNKNOWN}
        assert result.doubtful == len(ENTRIES) - 1
        door.release()
        assert to.produce(ENTRIES[1:], 20) == Sent()
        found = kafka.values((f"localhost:{door.port}",), 2 * len(ENTRIES) - 1)
    assert {json.loads(value)["path"] for value in found} == {json.loads(entry)["path"] for entry in ENTRIES}
