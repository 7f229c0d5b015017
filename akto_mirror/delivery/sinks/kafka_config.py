"""Properties of the Kafka client: the sink's defaults, overridden by the user's. The client checks their values."""

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
    # Larger than any entry, so that the topic's limit decides, which applies to compressed sizes.
    "message.max.bytes": str(8 * 1024 * 1024),
    # Larger than any batch.
    "queue.buffering.max.kbytes": str(16 * 1024),
    # Slow deliveries are ended by the attempt's own deadline.
    "message.timeout.ms": "0",
    # Report a missing topic soon, instead of after half a minute.
    "topic.metadata.propagation.max.ms": "1000",
}

# Properties that the sink sets itself or cannot work with, and what to do instead.
REFUSED: Mapping[str, str] = {
    "bootstrap.servers": "name the brokers in akto_url: kafka://BROKER:9092,BROKER:9092/TOPIC",
    "metadata.broker.list": "name the brokers in akto_url: kafka://BROKER:9092,BROKER:9092/TOPIC",
    "transactional.id": "entries are not sent in transactions, because Akto also reads uncommitted records",
    "delivery.report.only.error": "entries are counted by their delivery reports",
}

# Parts of the names of properties whose values are, or as in `sasl.oauthbearer.config` may contain, secrets.
_SECRET = re.compile("password|passphrase|secret|token|oauth|credential|[.]key|[.]pem", re.IGNORECASE)

# Properties whose values are Python objects, which cannot be given as text.
CALLBACKS = frozenset({"error_cb", "log_cb", "logger", "stats_cb", "throttle_cb", "oauth_cb", "on_delivery"})


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """The topic for entries, and the client's properties.

    Attributes:
        brokers: the first brokers to contact, as `HOST:PORT`.
        topic: the topic's name.
        properties: librdkafka's properties, by name; they take precedence over `DEFAULTS`, and may be secret.
    """

    brokers: tuple[str, ...]
    topic: str
    properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not be shown."""
        return tuple(value for name, value in self.properties if is_secret(name))

    def client(self) -> dict[str, str]:
        """Return all properties for the client."""
        given = {**DEFAULTS, **dict(self.properties)}
        own = {"bootstrap.servers": ",".join(self.brokers)}
        if is_tls(given) and "ssl.ca.location" not in given:
            own["ssl.ca.location"] = authorities()
        return given | own


def parse(items: Iterable[str]) -> dict[str, str]:
    """Parse properties given as `name=value`.

    Raises:
        ValueError: one is invalid; the text says why, without its value, which may be a secret.
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
    """Split properties given as `name=value` into those that may be shown, and the secret ones by name."""
    shown, secrets = [], {}
    for item in items:
        name = item.partition("=")[0].strip()
        if is_secret(name):
            secrets[name] = item
        else:
            shown.append(item)
    return shown, secrets


def is_secret(name: str) -> bool:
    """Return whether a property's value is a secret, judging by its name, which may be misspelt."""
    return _SECRET.search(name) is not None


def is_tls(properties: Mapping[str, str]) -> bool:
    """Return whether the client uses TLS."""
    return "ssl" in properties.get("security.protocol", "").lower()


def is_sasl(properties: Mapping[str, str]) -> bool:
    """Return whether the client authenticates with SASL."""
    return "sasl" in properties.get("security.protocol", "").lower()


def authorities() -> str:
    """Return the default of `ssl.ca.location`: `SSL_CERT_FILE`, the system's CAs, or the well-known ones."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    has_own = paths.capath is not None and any(Path(paths.capath).iterdir())
    return "probe" if has_own else certifi.where()
