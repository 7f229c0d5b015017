"""Properties of the Kafka client: the sink's own, and the user's on top. Their values are for the client to judge."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import certifi

# https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
DEFAULTS: Mapping[str, str] = {
    "client.id": "akto-mirror",
    "enable.idempotence": "true",
    "acks": "all",
    "compression.type": "lz4",
    "allow.auto.create.topics": "false",
    # More than the largest entry, so that the topic's own limit decides, which looks at what is compressed.
    "message.max.bytes": str(8 * 1024 * 1024),
    # More than the largest batch.
    "queue.buffering.max.kbytes": str(16 * 1024),
    # The attempt's own deadline ends what takes too long.
    "message.timeout.ms": "0",
    # A topic that is missing is reported soon, and not only after half a minute.
    "topic.metadata.propagation.max.ms": "1000",
}

# What the sink sets itself or could not work with, and what to do instead.
REFUSED: Mapping[str, str] = {
    "bootstrap.servers": "name the brokers in akto_url: kafka://BROKER:9092,BROKER:9092/TOPIC",
    "metadata.broker.list": "name the brokers in akto_url: kafka://BROKER:9092,BROKER:9092/TOPIC",
    "transactional.id": "entries are not sent in transactions, as Akto reads what is uncommitted too",
    "delivery.report.only.error": "entries are counted by their delivery reports",
}

# Parts of the names of properties whose values are secrets, and of `sasl.oauthbearer.config`, which may hold one.
_SECRET = re.compile("password|passphrase|secret|token|oauth|credential|[.]key|[.]pem", re.IGNORECASE)

# Objects of Python's, which no text can stand for.
CALLBACKS = frozenset({"error_cb", "log_cb", "logger", "stats_cb", "throttle_cb", "oauth_cb", "on_delivery"})


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """Which topic entries go to, and how.

    Attributes:
        brokers: to begin with, as `HOST:PORT`; the others are learnt from them.
        topic: the topic's name.
        properties: librdkafka's, by name; they win over `DEFAULTS`, and may hold secrets.
    """

    brokers: tuple[str, ...]
    topic: str
    properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that no text may show."""
        return tuple(value for name, value in self.properties if is_secret(name))

    def client(self) -> dict[str, str]:
        """Return all properties that the client gets."""
        given = {**DEFAULTS, **dict(self.properties)}
        own = {"bootstrap.servers": ",".join(self.brokers)}
        if is_tls(given) and "ssl.ca.location" not in given:
            own["ssl.ca.location"] = authorities()
        return given | own


def parse(items: Iterable[str]) -> dict[str, str]:
    """Parse properties given as `name=value`.

    Raises:
        ValueError: saying what is wrong with one of them, without its value, which may be a secret.
    """
    found: dict[str, str] = {}
    for item in items:
        name, mark, value = item.partition("=")
        name = name.strip()
        if not (mark and name):
            raise ValueError("write NAME=VALUE with the name of a property of librdkafka, such as linger.ms=50")
        if name in REFUSED:
            raise ValueError(f"{name} cannot be set here: {REFUSED[name]}")
        if name in CALLBACKS:
            raise ValueError(f"{name} is not a property of librdkafka")
        found[name] = value
    return found


def split(items: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Divide properties given as `name=value` into those that may be shown, and the secret ones by their names."""
    shown, secrets = [], {}
    for item in items:
        name = item.partition("=")[0].strip()
        if is_secret(name):
            secrets[name] = item
        else:
            shown.append(item)
    return shown, secrets


def is_secret(name: str) -> bool:
    """Return whether a property's value is a secret, by its name, which may be misspelt."""
    return _SECRET.search(name) is not None


def is_tls(properties: Mapping[str, str]) -> bool:
    """Return whether the client is to speak TLS."""
    return "ssl" in properties.get("security.protocol", "").lower()


def is_sasl(properties: Mapping[str, str]) -> bool:
    """Return whether the client is to authenticate by SASL."""
    return "sasl" in properties.get("security.protocol", "").lower()


def authorities() -> str:
    """Return what `ssl.ca.location` is by default: `SSL_CERT_FILE`, the system's, or the well-known authorities."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    has_own = paths.capath is not None and any(Path(paths.capath).iterdir())
    return "probe" if has_own else certifi.where()
