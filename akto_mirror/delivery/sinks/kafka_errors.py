"""Maps errors of Kafka to causes. No I/O.

Errors are identified by their names in librdkafka: names that begin with an underscore are the client's own errors, the
others are the broker's (https://kafka.apache.org/protocol.html#protocol_error_codes).
"""

from __future__ import annotations

from dataclasses import dataclass

from akto_mirror.delivery.sinks.symptoms import Cause, Kind

_TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"})

_UNKNOWN = frozenset({"_PURGE_INFLIGHT", "_MSG_TIMED_OUT", "_TIMED_OUT"})

# These errors do not show a cause; the client's reports about its connections do.
_UNSPECIFIC = _UNKNOWN | {"_PURGE_QUEUE", "_FATAL", "_QUEUE_FULL"}

ALL_DOWN = "_ALL_BROKERS_DOWN"

_CAUSES = {
    "TOPIC_AUTHORIZATION_FAILED": Cause.TOPIC_RIGHTS,
    "CLUSTER_AUTHORIZATION_FAILED": Cause.CLUSTER_RIGHTS,
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": Cause.CLUSTER_RIGHTS,
    "INVALID_RECORD": Cause.TOPIC_RULES,
    "POLICY_VIOLATION": Cause.TOPIC_RULES,
    "INVALID_TIMESTAMP": Cause.KAFKA_CLOCK,
    "UNSUPPORTED_VERSION": Cause.OLD_BROKER,
    "_UNSUPPORTED_FEATURE": Cause.OLD_BROKER,
    "UNSUPPORTED_COMPRESSION_TYPE": Cause.OLD_BROKER,
    "UNSUPPORTED_SASL_MECHANISM": Cause.KAFKA_MECHANISM,
    "_UNKNOWN_TOPIC": Cause.NO_TOPIC,
    "_UNKNOWN_PARTITION": Cause.NO_TOPIC,
    "UNKNOWN_TOPIC_OR_PART": Cause.NO_TOPIC,
    "TOPIC_EXCEPTION": Cause.NO_TOPIC,
    "_RESOLVE": Cause.UNKNOWN_BROKER,
    ALL_DOWN: Cause.NO_BROKER,
}

_LOGIN = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})

# Where librdkafka has one name for many causes (`_SSL`, `_TRANSPORT`, `_AUTHENTICATION`), it reports no further code;
# only its own and OpenSSL's texts distinguish them.
_WORDS = (
    ("unsupported sasl mechanism", Cause.KAFKA_MECHANISM),
    ("mechanism handshake failed", Cause.KAFKA_PROTOCOL),
    ("handshake not supported", Cause.KAFKA_PROTOCOL),
    ("certificate verify failed", Cause.KAFKA_CERTIFICATE),
    ("broker certificate could not be verified", Cause.KAFKA_CERTIFICATE),
    ("in state ssl_handshake", Cause.KAFKA_NO_TLS),
    ("ssl handshake failed", Cause.KAFKA_NO_TLS),
    ("incorrect security.protocol", Cause.KAFKA_WANTS_TLS),
    ("security.protocol is correctly configured", Cause.KAFKA_WANTS_TLS),
    ("failed to get metadata", Cause.KAFKA_PROTOCOL),
    ("connection closed by peer", Cause.KAFKA_WANTS_TLS),
    ("connection reset by peer", Cause.KAFKA_WANTS_TLS),
    ("connection refused", Cause.NO_BROKER),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as librdkafka reports it: its name and its text."""

    name: str = ""
    text: str = ""

    @property
    def cause(self) -> Cause:
        """The cause of the error."""
        if self.name in _CAUSES:
            return _CAUSES[self.name]
        text = self.text.lower()
        found = next((cause for words, cause in _WORDS if words in text), None)
        if found is None and self.name in _LOGIN and "transport failure" not in text:
            return Cause.KAFKA_LOGIN
        return found or Cause.NETWORK

    @property
    def is_too_large(self) -> bool:
        """Whether the record, or the message set that it was sent in, is larger than the topic allows."""
        return self.name in _TOO_LARGE

    @property
    def is_unknown(self) -> bool:
        """Whether the record may be in the topic nevertheless."""
        return self.name in _UNKNOWN

    @property
    def is_lasting(self) -> bool:
        """Whether a user has to correct something before another attempt can succeed."""
        return self.cause.kind is not Kind.TRANSIENT or self.name in ("_SSL", "_RESOLVE")

    @property
    def rank(self) -> int:
        """How informative the error is: 0 shows no cause, 1 is all brokers down, 3 needs a user's correction."""
        if not self.name or self.name in _UNSPECIFIC:
            return 0
        if self.name == ALL_DOWN:
            return 1
        return 3 if self.is_lasting else 2
