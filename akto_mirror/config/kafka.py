"""The configuration of Kafka, from the options and from Akto's own environment variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from akto_mirror.delivery import Destination, KafkaConfig, SinkConfig, kafka_client, kafka_config
from akto_mirror.delivery import destination as destinations
from akto_mirror.escaping import hide_each

# As in Akto's eBPF agent, the first takes precedence over the second.
BROKERS = ("AKTO_KAFKA_BROKER_MAL", "AKTO_KAFKA_BROKER_URL")
TOPIC = "AKTO_KAFKA_TOPIC"

PROPERTIES = {
    "AKTO_KAFKA_USERNAME": "sasl.username",
    "AKTO_KAFKA_PASSWORD": "sasl.password",
    "AKTO_KAFKA_SASL_MECHANISM": "sasl.mechanisms",
    "AKTO_KAFKA_SECURITY_PROTOCOL": "security.protocol",
}

# What Akto's own programs use if only a user name is set.
WITH_USERNAME = {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN"}

# librdkafka's aliases of properties.
ALIASES = {"sasl.mechanism": "sasl.mechanisms"}


def address(url: str, environ: Mapping[str, str]) -> str:
    """Return an `akto_url`, completed from the variables: the brokers if it is empty, the topic if it has none."""
    return _completed(url, environ)[0]


def address_variables(url: str, environ: Mapping[str, str]) -> list[str]:
    """Return the variables with which `address` completes an `akto_url`."""
    return _completed(url, environ)[1]


def _completed(url: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    names = list[str]()
    brokers = next((name for name in BROKERS if environ.get(name)), "")
    if brokers and not url:
        url = destinations.KAFKA + environ[brokers].removeprefix(destinations.KAFKA)
        names.append(brokers)
    has_topic = "/" in url.removeprefix(destinations.KAFKA)
    if url.startswith(destinations.KAFKA) and not has_topic and environ.get(TOPIC):
        url = f"{url}/{environ[TOPIC]}"
        names.append(TOPIC)
    return url, names


def property_variables(problem: str, items: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """Return the variables of the properties that an error names, unless `akto_kafka` gives them."""
    given = {ALIASES.get(name, name) for name in (item.partition("=")[0].strip() for item in items)}
    return [
        variable
        for variable, name in PROPERTIES.items()
        if environ.get(variable) and f'"{name}"' in problem and name not in given
    ]


def destination(url: str) -> Destination:
    """Parse an `akto_url`, and check that the packages that it needs are installed.

    Raises:
        ValueError: it cannot be used.
    """
    to = destinations.parse(url)
    if to.scheme == "kafka":
        kafka_client.require()
    return to


def sink(url: str, items: Iterable[str], environ: Mapping[str, str]) -> SinkConfig | None:
    """Return the sink of an `akto_url` or, if it is empty, of the variables; None if it is not Kafka.

    Raises:
        ValueError: it cannot be used.
    """
    given = address(url, environ)
    if not given.lower().startswith(destinations.KAFKA):
        return None
    to = destination(given)
    return SinkConfig(to, kafka=config(to, items, environ))


def config(to: Destination, items: Iterable[str], environ: Mapping[str, str]) -> KafkaConfig | None:
    """Return the configuration for a destination; None if it is not Kafka.

    Args:
        to: the destination.
        items: the values of `akto_kafka`; they take precedence over the variables.
        environ: environment variables.

    Raises:
        ValueError: the client rejects a property.
    """
    given = {ALIASES.get(name, name): value for name, value in kafka_config.parse(items).items()}
    if to.scheme != "kafka":
        return None
    properties = {name: environ[variable] for variable, name in PROPERTIES.items() if environ.get(variable)} | given
    if "sasl.username" in properties:
        properties = WITH_USERNAME | properties
    found = KafkaConfig(to.brokers, to.topic, tuple(properties.items()))
    try:
        kafka_client.check(found)
    except ValueError as error:
        raise ValueError(hide_each(str(error), found.secrets)) from None
    return found
