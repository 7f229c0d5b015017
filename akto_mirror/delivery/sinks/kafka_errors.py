"""What Kafka's errors mean, and the likely mistake behind one that waiting does not fix. No I/O.

Errors go by their names in librdkafka: those that begin with an underscore are the client's own, the others are the
broker's (https://kafka.apache.org/protocol.html#protocol_error_codes).
"""

from __future__ import annotations

from dataclasses import dataclass

from akto_mirror.delivery.sinks.symptoms import Kind

_TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"})

_UNKNOWN = frozenset({"_PURGE_INFLIGHT", "_MSG_TIMED_OUT", "_TIMED_OUT"})

# These name no cause; what the client reports about its connections does.
_UNSPECIFIC = _UNKNOWN | {"_PURGE_QUEUE", "_FATAL", "_QUEUE_FULL"}

ALL_DOWN = "_ALL_BROKERS_DOWN"

_AUTH = frozenset(
    {
        "_AUTHENTICATION",
        "SASL_AUTHENTICATION_FAILED",
        "TOPIC_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    }
)
_SETUP = frozenset(
    {
        "_UNKNOWN_TOPIC",
        "_UNKNOWN_PARTITION",
        "UNKNOWN_TOPIC_OR_PART",
        "TOPIC_EXCEPTION",
        "INVALID_RECORD",
        "POLICY_VIOLATION",
        "UNSUPPORTED_SASL_MECHANISM",
        "UNSUPPORTED_VERSION",
        "UNSUPPORTED_COMPRESSION_TYPE",
        "_UNSUPPORTED_FEATURE",
    }
)

_LOGIN = "check AKTO_KAFKA_USERNAME, AKTO_KAFKA_PASSWORD and AKTO_KAFKA_SASL_MECHANISM"
_TOPIC = "create the topic, or name another one in akto_url (kafka://BROKER:9092/TOPIC)"
_PROTOCOL = "the broker's port may speak another protocol: set AKTO_KAFKA_SECURITY_PROTOCOL"

_HINTS = {
    "TOPIC_AUTHORIZATION_FAILED": "grant this user Describe and Write on the topic",
    "CLUSTER_AUTHORIZATION_FAILED": "grant this user IdempotentWrite on the cluster, or set "
    "akto_kafka=enable.idempotence=false",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "grant this user IdempotentWrite on the cluster",
    "INVALID_RECORD": "the topic asks for more than Akto's has: it must not be compacted, nor validate a schema",
    "UNSUPPORTED_VERSION": "brokers older than Kafka 0.11 are not supported",
    "_RESOLVE": "check the spelling of the brokers in akto_url, or this machine's name resolution",
    ALL_DOWN: "start the brokers, or correct akto_url",
}

# What in the text of an error narrows down its cause: librdkafka's and OpenSSL's own words.
_TEXT_HINTS = (
    ("unsupported sasl mechanism", "set AKTO_KAFKA_SASL_MECHANISM to one that the broker supports"),
    ("mechanism handshake failed", _PROTOCOL),
    ("certificate has expired", "renew the broker's certificate"),
    ("certificate verify failed", "name the issuer's certificate: akto_kafka=ssl.ca.location=/PATH.pem"),
    ("broker certificate could not be verified", "name the issuer's certificate: akto_kafka=ssl.ca.location=/PATH.pem"),
    ("in state ssl_handshake", _PROTOCOL + " (no TLS there?)"),
    ("ssl handshake failed", _PROTOCOL + " (no TLS there?)"),
    ("incorrect security.protocol", _PROTOCOL + " (TLS or SASL there?)"),
    ("failed to get metadata", _PROTOCOL),
    ("connection refused", "start the broker, or correct akto_url"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as librdkafka reports it: its name, and a text for humans."""

    name: str = ""
    text: str = ""

    @property
    def kind(self) -> Kind:
        """What the error means for a batch: whether waiting is enough."""
        if self.name in _AUTH and "transport failure" not in self.text:
            return Kind.AUTH
        return Kind.SETUP if self.name in _SETUP else Kind.TRANSIENT

    @property
    def is_too_large(self) -> bool:
        """Whether the record, or the set that it was sent in, is larger than the topic allows."""
        return self.name in _TOO_LARGE

    @property
    def is_unknown(self) -> bool:
        """Whether the record may be in the topic all the same."""
        return self.name in _UNKNOWN

    @property
    def hint(self) -> str:
        """The likely mistake, or how to find it."""
        text = self.text.lower()
        found = next((hint for mark, hint in _TEXT_HINTS if mark in text), "")
        if found or self.name in _HINTS:
            return found or _HINTS[self.name]
        if self.kind is Kind.AUTH:
            return _LOGIN
        return _TOPIC if self.kind is Kind.SETUP else "look at the way there with `akto-mirror check`"

    @property
    def rank(self) -> int:
        """How much the error says: that all brokers are down least, and what a user has to correct most."""
        if not self.name or self.name in _UNSPECIFIC:
            return 0
        if self.name == ALL_DOWN:
            return 1
        return 2 if self.kind is Kind.TRANSIENT and self.name not in ("_SSL", "_RESOLVE") else 3
