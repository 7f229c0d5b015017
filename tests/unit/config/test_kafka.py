"""Configuration of Kafka: options, Akto's own variables, and secrets that are never shown."""

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
    """Read the defaults with these changes, named without `akto_`."""
    return options.read(DEFAULTS | {f"akto_{name}": value for name, value in changes.items()}, environ or {}).sink


def kafka(environ: dict[str, str] | None = None, **changes: Any) -> KafkaConfig:
    """Read a Kafka configuration, which must be there."""
    found = read(environ, **changes).kafka
    assert found is not None
    return found


def problem_of(environ: dict[str, str] | None = None, **changes: Any) -> str:
    """Return the error for these values, which must be one line."""
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
    """An address has brokers, and a topic with a default."""
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
    """The error says how the address is written, and shows no secret."""
    assert problem in problem_of(url=url)
    assert "hunter2" not in problem_of(url=url)


def test_the_variables_of_akto_s_own_programs() -> None:
    """As in Akto's eBPF agent, `_MAL` takes precedence over `_URL`, and a username alone means SASL PLAIN."""
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
    """The address is the option's, else the ingestion service's variable, else the brokers' variable."""
    environ = {"AKTO_KAFKA_BROKER_URL": "b", "AKTO_KAFKA_TOPIC": "t"}
    assert kafka(environ, url="kafka://mine").topic == "t"
    assert kafka(environ, url="kafka://mine/own").topic == "own"
    assert read(environ | {"AKTO_DATA_INGESTION_URL": "http://h"}).kafka is None


@pytest.mark.parametrize(
    ("environ", "changes", "named"),
    [
        ({"AKTO_KAFKA_BROKER_MAL": "b c", "AKTO_KAFKA_BROKER_URL": "b"}, {}, "variable AKTO_KAFKA_BROKER_MAL)"),
        ({"AKTO_KAFKA_BROKER_URL": "b c"}, {}, "variable AKTO_KAFKA_BROKER_URL)"),
        (
            {"AKTO_KAFKA_BROKER_URL": "b", "AKTO_KAFKA_TOPIC": "t?"},
            {},
            "variables AKTO_KAFKA_BROKER_URL and AKTO_KAFKA_TOPIC)",
        ),
        ({"AKTO_KAFKA_TOPIC": "t?"}, {"url": "kafka://b"}, "variable AKTO_KAFKA_TOPIC)"),
        ({"AKTO_DATA_INGESTION_URL": "kafka://b c", "AKTO_KAFKA_BROKER_URL": "b"}, {}, "AKTO_DATA_INGESTION_URL)"),
        ({"AKTO_KAFKA_BROKER_MAL": "b", "AKTO_KAFKA_TOPIC": "t"}, {"url": "kafka://b c/t"}, ""),
        ({"AKTO_KAFKA_SECURITY_PROTOCOL": "x"}, {"url": "kafka://b"}, "variable AKTO_KAFKA_SECURITY_PROTOCOL)"),
        (
            {"AKTO_KAFKA_SECURITY_PROTOCOL": "ssl"},
            {"url": "kafka://b", "kafka": ["security.protocol=x"]},
            "",
        ),
    ],
)
def test_the_variables_of_a_wrong_value_are_named(environ: dict[str, str], changes: dict[str, Any], named: str) -> None:
    """An error names the variables that the value comes from, and no other."""
    problem = problem_of(environ, **changes)
    assert problem.endswith(named)
    assert problem.count("AKTO_") == named.count("AKTO_")


def test_properties_are_checked_at_the_start() -> None:
    """Unknown properties are refused, and wrong syntax is refused even if entries do not go to Kafka."""
    assert "No such configuration property" in problem_of(url="kafka://b", kafka=["no.such=1"])
    assert "write NAME=VALUE" in problem_of(url="http://h", kafka=["linger.ms"])


def test_no_line_shows_a_secret() -> None:
    """Errors and lists of options show no secret, even for a misspelt option."""
    items = ["sasl.password=hunter2", "no.such=1"]
    assert "hunter2" not in problem_of(url="kafka://b", kafka=items)
    assert declarations.shown_value("akto_kafka", items) == "sasl.password=(hidden), no.such=1"
    assert "hunter2" not in declarations.shown_value("akto_kafak", items)
    assert "hunter2" not in declarations.shown_value("akto_kafak", items[0])


def test_the_spool_knows_the_cluster() -> None:
    """The spool's target is the same for any order of the brokers and any topic, and has no secret."""
    given = {"AKTO_KAFKA_PASSWORD": "hunter2", "AKTO_KAFKA_USERNAME": "u"}
    assert read(given, url="kafka://b2,b1/t").target == read(url="kafka://b1:9092,b2:9092").target


def test_a_missing_client_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install; other addresses do not need the client."""
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    assert "pip install 'akto-mirror[kafka]'" in problem_of(url="kafka://b")
    assert read(url="http://h").kafka is None
