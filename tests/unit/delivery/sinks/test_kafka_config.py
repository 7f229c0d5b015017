"""Properties of the Kafka client: the sink's defaults, and the user's."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from akto_mirror.delivery.sinks import kafka_client, kafka_config
from akto_mirror.delivery.sinks.kafka_config import DEFAULTS, KafkaConfig


def config(**properties: str) -> KafkaConfig:
    """Return a configuration; underscores in the names of properties become dots."""
    return KafkaConfig(("b:9092",), "t", tuple((name.replace("_", "."), value) for name, value in properties.items()))


def test_the_defaults_are_the_client_s_own_names() -> None:
    """The client knows all default properties."""
    kafka_client.check(config())
    assert config().client() == {**DEFAULTS, "bootstrap.servers": "b:9092"}


def test_what_the_user_gives_wins() -> None:
    """The user's properties take precedence over the sink's."""
    assert config(compression_type="zstd").client()["compression.type"] == "zstd"


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"no_such": "1"}, "No such configuration property"),
        ({"retries": "soon"}, "retries"),
        ({"acks": "1"}, "`acks` must be set to `all`"),
        ({"security_protocol": "ssl", "ssl_ca_location": "/nowhere.pem"}, "ssl.ca.location"),
        ({"security_protocol": "sasl_ssl", "sasl_mechanisms": "SCRAM-SHA-256"}, "sasl.username and sasl.password"),
    ],
)
def test_what_the_client_does_not_take_is_refused(properties: dict[str, str], problem: str) -> None:
    """The client refuses unknown or wrong properties without a connection."""
    with pytest.raises(ValueError, match=problem):
        kafka_client.check(config(**properties))


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("linger.ms", "write NAME=VALUE"),
        ("=1", "write NAME=VALUE"),
        ("bootstrap.servers=b", "akto_url"),
        ("transactional.id=t", "transactions"),
        ("delivery.report.only.error=true", "delivery reports"),
        ("error_cb=print", "not a property"),
    ],
)
def test_what_cannot_be_set_says_why(item: str, problem: str) -> None:
    """The error does not show the value, which may be secret."""
    with pytest.raises(ValueError, match=problem):
        kafka_config.parse([item])


def test_a_value_may_hold_an_equals_sign() -> None:
    """Only the first equals sign separates: base64 may have more."""
    assert kafka_config.parse(["sasl.password=a=b="]) == {"sasl.password": "a=b="}


def test_secrets_are_known_by_their_names() -> None:
    """Secrets are recognised by the property's name, and all other properties may be shown."""
    shown, secrets = kafka_config.split(
        ["linger.ms=1", "sasl.password=x", "ssl.key.pem=y", "sasl.oauthbearer.config=z"]
    )
    assert shown == ["linger.ms=1"]
    assert set(secrets) == {"sasl.password", "ssl.key.pem", "sasl.oauthbearer.config"}
    assert config(sasl_password="x", linger_ms="1").secrets == ("x",)
    assert "hunter2" not in repr(config(sasl_password="hunter2"))


def test_tls_trusts_what_the_http_sink_trusts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`SSL_CERT_FILE` takes precedence; certifi's authorities are used if the system has none."""
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert config(security_protocol="SASL_SSL").client()["ssl.ca.location"] == certifi.where()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert kafka_config.authorities() == certifi.where()
    (tmp_path / "own.pem").touch()
    assert kafka_config.authorities() == "probe"
    assert config(security_protocol="ssl", ssl_ca_location="/mine").client()["ssl.ca.location"] == "/mine"
    assert "ssl.ca.location" not in config().client()
