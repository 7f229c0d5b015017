"""How entries reach a topic of Kafka: options, Akto's own variables, and secrets that no text shows."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from akto_mirror.config import declarations, options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.delivery.sinks.choose import SinkConfig
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig

DEFAULTS: dict[str, Any] = {option.name: option.default for option in OPTIONS}


def read(environ: dict[str, str] | None = None, **changes: Any) -> SinkConfig:
    """Read the defaults with some changes; names are without their `akto_`."""
    return options.read(DEFAULTS | {f"akto_{name}": value for name, value in changes.items()}, environ or {}).sink


def kafka(environ: dict[str, str] | None = None, **changes: Any) -> KafkaConfig:
    """Read what is to be a topic."""
    found = read(environ, **changes).kafka
    assert found is not None
    return found


def problem_of(environ: dict[str, str] | None = None, **changes: Any) -> str:
    """Return the one line that refuses these values."""
    with pytest.raises(ConfigError) as caught:
        read(environ, **changes)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "brokers", "topic"),
    [
        ("kafka://b", ("b:9092",), "akto.api.logs"),
        ("kafka://b1:1,b2/mine", ("b1:1", "b2:9092"), "mine"),
        ("KAFKA://10.0.0.1:9092/", ("10.0.0.1:9092",), "akto.api.logs"),
        ("kafka://[::1]:9092", ("[::1]:9092",), "akto.api.logs"),
    ],
)
def test_an_address(url: str, brokers: tuple[str, ...], topic: str) -> None:
    """Brokers, and a topic that has a default."""
    assert kafka(url=url) == KafkaConfig(brokers, topic)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("kafka://", "write kafka://BROKER:9092"),
        ("kafka://b,,c", "write kafka://BROKER:9092"),
        ("kafka://b:port", "write kafka://BROKER:9092"),
        ("kafka://b:70000", "1 to 65535"),
        ("kafka://u:hunter2@b", "AKTO_KAFKA_USERNAME"),
        ("kafka://b/a/b", "its topic must be"),
        ("kafka://b/a?b=hunter2", "its topic must be"),
        ("kafka://b/..", "its topic must be"),
    ],
)
def test_an_unusable_address_says_what_would_do(url: str, problem: str) -> None:
    """In one line, without what may be a secret."""
    assert problem in problem_of(url=url)
    assert "hunter2" not in problem_of(url=url)


def test_the_variables_of_akto_s_own_programs() -> None:
    """The eBPF agent reads the broker from `_MAL` before `_URL`; with a name alone they mean SASL PLAIN."""
    environ = {"AKTO_KAFKA_BROKER_URL": "b2:1", "AKTO_KAFKA_TOPIC": "t"}
    assert kafka(environ) == KafkaConfig(("b2:1",), "t")
    environ |= {"AKTO_KAFKA_BROKER_MAL": "b1:1", "AKTO_KAFKA_USERNAME": "u", "AKTO_KAFKA_PASSWORD": "p"}
    found = kafka(environ)
    assert found.brokers == ("b1:1",)
    expected = {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN"}
    assert dict(found.properties) == expected | {"sasl.username": "u", "sasl.password": "p"}
    environ |= {"AKTO_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "AKTO_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    assert dict(kafka(environ).properties)["sasl.mechanisms"] == "SCRAM-SHA-512"
    assert dict(kafka(environ, kafka=["sasl.mechanism=PLAIN"]).properties)["sasl.mechanisms"] == "PLAIN"


def test_what_is_nearer_wins() -> None:
    """An address in an option, then one of the service, then the brokers."""
    environ = {"AKTO_KAFKA_BROKER_URL": "b", "AKTO_KAFKA_TOPIC": "t"}
    assert kafka(environ, url="kafka://mine").topic == "t"
    assert kafka(environ, url="kafka://mine/own").topic == "own"
    assert read(environ | {"AKTO_DATA_INGESTION_URL": "http://h"}).kafka is None


def test_properties_are_checked_at_the_start() -> None:
    """Those that the client does not know, and their form even where nothing goes to Kafka."""
    assert "No such configuration property" in problem_of(url="kafka://b", kafka=["no.such=1"])
    assert "write NAME=VALUE" in problem_of(url="http://h", kafka=["linger.ms"])


def test_no_line_shows_a_secret() -> None:
    """Neither a refusal, nor what lists options, nor a misspelt name."""
    items = ["sasl.password=hunter2", "no.such=1"]
    assert "hunter2" not in problem_of(url="kafka://b", kafka=items)
    assert declarations.shown_value("akto_kafka", items) == "sasl.password=(hidden), no.such=1"
    assert "hunter2" not in declarations.shown_value("akto_kafak", items)
    assert "hunter2" not in declarations.shown_value("akto_kafak", items[0])


def test_the_spool_knows_the_cluster() -> None:
    """However its brokers are listed, and not the topic, which may have been misspelt; nor any secret."""
    given = {"AKTO_KAFKA_PASSWORD": "hunter2", "AKTO_KAFKA_USERNAME": "u"}
    assert read(given, url="kafka://b2,b1/t").target == read(url="kafka://b1:9092,b2:9092").target


def test_a_missing_client_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what to install; without a kafka:// address nothing needs it."""
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    assert "pip install 'akto-mirror[kafka]'" in problem_of(url="kafka://b")
    assert read(url="http://h").kafka is None
