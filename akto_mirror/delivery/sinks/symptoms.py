"""The causes of failed attempts: what each means, in a sentence, and what to do about it. No I/O.

The log, `akto-mirror check`, `doctor`, `replay` and dead letters all use it. Causes are recognised here by statuses, in
`network_errors` by types and numbers of errors, and in `kafka_errors` by librdkafka's errors.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import NamedTuple

from akto_mirror.akto_api import INGEST_PATH


class Kind(Enum):
    """The meaning of the response to a batch."""

    SHIPPED = "shipped"
    TRANSIENT = "transient"
    AUTH = "auth"
    SETUP = "set-up mistake"


class Symptom(NamedTuple):
    """The meaning of a cause, what is wrong as text to follow a status, and what to do about it."""

    kind: Kind
    sentence: str
    remedy: str


_ADDRESS = "correct akto_url (Akto publishes its data-ingestion service on port 9091)"
_OTHER_SERVICE = f"another service answers there: {_ADDRESS}"
_LOOK = "check the connection with `akto-mirror check`"
_READ_LOG = "read the log of Akto's service"
_TRUST = "set SSL_CERT_FILE to a PEM file with the certificate of its issuer (or, if self-signed, its own)"
_OTHER_NAME = "use a host name that the certificate names"
_WRITE_HTTPS = "write https:// instead of http:// in akto_url"
_WRITE_HTTP = "write http:// instead of https:// in akto_url: Akto's own port speaks plain HTTP"

_PROTOCOL = "the broker's port may speak another protocol: set AKTO_KAFKA_SECURITY_PROTOCOL"

SHIPPED, TRANSIENT, AUTH, SETUP = Kind


@unique
class Cause(Enum):
    """The cause of a response, or of the lack of one."""

    NONE = Symptom(SHIPPED, "Akto accepted it", "")

    # Statuses.
    REDIRECT = Symptom(
        SETUP,
        "a redirect",
        "set akto_url to the final URL (https:// instead of http://?); redirects are not followed",
    )
    BAD_REQUEST = Symptom(SETUP, "the service cannot read the request", _OTHER_SERVICE)
    TOKEN = Symptom(
        AUTH,
        "the token is refused",
        "check that akto_token or AKTO_API_TOKEN is complete, has not expired, and belongs to this account",
    )
    TOKEN_MISSING = Symptom(AUTH, "the service requires a token", "set akto_token or AKTO_API_TOKEN (check: --token)")
    TOKEN_BEARER = Symptom(
        AUTH, "the token was sent with Bearer, and is refused", "give the token alone, without Bearer"
    )
    LOGIN = Symptom(
        AUTH, "a login is asked for, although this path needs none", "let the proxy in front pass this path"
    )
    NO_SUCH_PATH = Symptom(
        SETUP,
        "there is no such path",
        f"another service answers there, or it wants a path before {INGEST_PATH}: {_ADDRESS}",
    )
    METHOD = Symptom(SETUP, "the method is not allowed there", f"check the path: {_OTHER_SERVICE}")
    PROXY_LOGIN = Symptom(SETUP, "a proxy in between requires a password", "let akto_url be reached directly")
    TIMED_OUT = Symptom(TRANSIENT, "the service timed out", _READ_LOG)
    TOO_LARGE = Symptom(
        SETUP, "it is too large for a server in between", "raise that server's limit, or set a smaller akto_batch_bytes"
    )
    NOT_HANDED_ON = Symptom(
        TRANSIENT, "the service could not process it", f"its Kafka may be down, or an entry is invalid: {_READ_LOG}"
    )
    TOO_MANY = Symptom(TRANSIENT, "too many requests", "it is tried again later; raise the limit if that lasts")
    SERVICE_ERROR = Symptom(TRANSIENT, "the service failed", _READ_LOG)
    BEHIND_PROXY = Symptom(
        TRANSIENT, "a proxy in front cannot reach the service", "start the service, or correct the proxy's target"
    )
    NOT_READY = Symptom(
        TRANSIENT, "the service, or a proxy in front of it, is not ready", "start the service, or read its log"
    )
    SLOW_BEHIND_PROXY = Symptom(TRANSIENT, "a proxy in front got no answer from the service in time", _READ_LOG)
    NOT_AKTO = Symptom(SETUP, "not an answer of Akto's ingestion service", _OTHER_SERVICE)

    # Responses with status 200 that do not mean success.
    ENDLESS = Symptom(SETUP, "not Akto's answer but a longer one", _OTHER_SERVICE)
    EMPTY = Symptom(SETUP, "not Akto's answer but an empty one", _OTHER_SERVICE)
    WEB_PAGE = Symptom(SETUP, "not Akto's answer but a web page", f"a login page, or {_OTHER_SERVICE}")
    NOT_JSON = Symptom(SETUP, "not Akto's answer: it is not JSON", _OTHER_SERVICE)
    NOT_OBJECT = Symptom(SETUP, "not Akto's answer: it is not a JSON object", _OTHER_SERVICE)
    SAYS_NO = Symptom(SETUP, "the answer reports a failure", _READ_LOG)

    # The connection to the server.
    UNKNOWN_HOST = Symptom(
        TRANSIENT,
        "the host is not known",
        "check the spelling of the host in akto_url, or this machine's name resolution",
    )
    NOTHING_LISTENS = Symptom(TRANSIENT, "nothing listens there", f"start the service, or {_ADDRESS}")
    NO_SOCKET = Symptom(
        TRANSIENT, "there is no such socket", "check akto_uds, its permissions, and whether the service runs"
    )
    UNREACHABLE = Symptom(TRANSIENT, "it cannot be reached", f"check networks and firewalls on the way, or {_ADDRESS}")
    SLOW = Symptom(
        TRANSIENT,
        "no answer in time",
        "check the address, firewalls on the way, and whether the service hangs; akto_timeout_s (check: --timeout) "
        "waits longer",
    )
    BROKE_OFF = Symptom(TRANSIENT, "the connection broke off", f"if the port speaks TLS, {_WRITE_HTTPS}; else {_LOOK}")
    NOT_HTTP = Symptom(TRANSIENT, "no HTTP answer", f"if the port speaks TLS, {_WRITE_HTTPS}; else {_OTHER_SERVICE}")
    SPEAKS_TLS = Symptom(TRANSIENT, "this port speaks TLS, not plain HTTP", _WRITE_HTTPS)
    SPEAKS_HTTP = Symptom(TRANSIENT, "this port speaks plain HTTP, not TLS", _WRITE_HTTP)
    NO_TLS = Symptom(TRANSIENT, "no TLS on this port", f"{_WRITE_HTTP}; or {_ADDRESS}")
    TLS_FAILED = Symptom(TRANSIENT, "the TLS handshake failed", _LOOK)
    NOT_YET_VALID = Symptom(
        TRANSIENT, "the certificate is not valid yet", "correct the clock of this machine, or the certificate"
    )
    EXPIRED = Symptom(TRANSIENT, "the certificate has expired", "renew it")
    SELF_SIGNED = Symptom(TRANSIENT, "the certificate is self-signed", _TRUST)
    UNKNOWN_ISSUER = Symptom(TRANSIENT, "the certificate's issuer is not trusted here", _TRUST)
    OTHER_HOST = Symptom(TRANSIENT, "the certificate is for another host", _OTHER_NAME)
    OTHER_ADDRESS = Symptom(TRANSIENT, "the certificate is for another address", _OTHER_NAME)
    UNTRUSTED = Symptom(TRANSIENT, "the certificate is not trusted", f"replace it, or {_TRUST}")
    NETWORK = Symptom(TRANSIENT, "the attempt failed", _LOOK)

    # Kafka.
    KAFKA_LOGIN = Symptom(
        AUTH, "the login is refused", "check AKTO_KAFKA_USERNAME, AKTO_KAFKA_PASSWORD and AKTO_KAFKA_SASL_MECHANISM"
    )
    KAFKA_MECHANISM = Symptom(
        AUTH,
        "the broker does not support this way to log in",
        "set AKTO_KAFKA_SASL_MECHANISM to one that the broker supports; if it names this one, it asks for no login: "
        "unset AKTO_KAFKA_USERNAME",
    )
    KAFKA_PROTOCOL = Symptom(TRANSIENT, "the broker does not answer as expected", _PROTOCOL)
    KAFKA_NO_TLS = Symptom(TRANSIENT, "TLS with the broker fails", f"{_PROTOCOL} (no TLS there?)")
    KAFKA_WANTS_TLS = Symptom(TRANSIENT, "the broker broke off", f"{_PROTOCOL} (TLS or SASL there?)")
    KAFKA_CERTIFICATE = Symptom(
        TRANSIENT,
        "the broker's certificate is not accepted",
        "name its issuer's certificate (akto_kafka=ssl.ca.location=/PATH.pem), or renew it; `akto-mirror check` finds "
        "out which",
    )
    KAFKA_ISSUER = Symptom(
        TRANSIENT,
        "the broker's certificate is not trusted here",
        "name its issuer's certificate: akto_kafka=ssl.ca.location=/PATH.pem",
    )
    KAFKA_EXPIRED = Symptom(TRANSIENT, "the broker's certificate has expired", "renew the broker's certificate")
    TOPIC_RIGHTS = Symptom(AUTH, "this user may not write", "grant this user Describe and Write on the topic")
    CLUSTER_RIGHTS = Symptom(
        AUTH,
        "this user may not write idempotently",
        "grant this user IdempotentWrite on the cluster, or set akto_kafka=enable.idempotence=false",
    )
    NO_TOPIC = Symptom(
        SETUP,
        "the topic cannot be written to",
        "create the topic, or name another one in akto_url (kafka://BROKER:9092/TOPIC)",
    )
    TOPIC_RULES = Symptom(
        SETUP,
        "the topic refuses the records",
        "the topic requires more than entries have: it must be neither compacted nor validated by a schema",
    )
    KAFKA_CLOCK = Symptom(
        TRANSIENT, "the broker's clock is too far from this one's", "correct the clock of this machine, or the broker's"
    )
    OLD_BROKER = Symptom(SETUP, "the broker is too old", "brokers older than Kafka 0.11 are not supported")
    UNKNOWN_BROKER = Symptom(
        TRANSIENT,
        "a broker's name is not known",
        "check the spelling of the brokers in akto_url, or this machine's name resolution",
    )
    NO_BROKER = Symptom(TRANSIENT, "no broker can be reached", "start the broker, or correct akto_url")
    NO_LEADER = Symptom(TRANSIENT, "partitions without a leader", "start the brokers that hold them")

    # This machine.
    UNWRITABLE = Symptom(
        TRANSIENT, "the file cannot be written", "make it writable, make room, or name another file in akto_url"
    )
    NO_THREAD = Symptom(
        TRANSIENT, "the system has no thread to spare", "raise the limit of processes (ulimit -u, TasksMax of systemd)"
    )

    @property
    def kind(self) -> Kind:
        """The meaning for a batch: whether waiting is enough."""
        return self.value.kind

    @property
    def sentence(self) -> str:
        """What is wrong, as text to follow a status."""
        return self.value.sentence

    @property
    def remedy(self) -> str:
        """What to do about it; empty if nothing is wrong."""
        return self.value.remedy


# Akto's service returns 422 for any exception of its own, including errors of Kafka, so it may be temporary.
_STATUSES = {
    200: Cause.NONE,
    400: Cause.BAD_REQUEST,
    401: Cause.TOKEN,
    403: Cause.TOKEN,
    404: Cause.NO_SUCH_PATH,
    405: Cause.METHOD,
    407: Cause.PROXY_LOGIN,
    408: Cause.TIMED_OUT,
    413: Cause.TOO_LARGE,
    422: Cause.NOT_HANDED_ON,
    425: Cause.TOO_MANY,
    429: Cause.TOO_MANY,
    502: Cause.BEHIND_PROXY,
    503: Cause.NOT_READY,
    504: Cause.SLOW_BEHIND_PROXY,
}

# Statuses of the 400s that are caused by the request and not by the entries in it.
_BLAMELESS = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 426, 429})


def of_status(status: int | None, token: str | None = None) -> Cause:
    """Return the cause of a response.

    Akto's service reports success with 200 only; a server that returns another 2xx is not Akto's service.

    Args:
        status: the HTTP status; None for a network error.
        token: the token that was sent; None if that is not known.
    """
    if status is None:
        return Cause.NETWORK
    if status in (401, 403) and token is not None:
        return _of_token(token)
    if 300 <= status < 400:
        return Cause.REDIRECT
    return _STATUSES.get(status, Cause.SERVICE_ERROR if status >= 500 else Cause.NOT_AKTO)


def _of_token(token: str) -> Cause:
    if not token:
        return Cause.TOKEN_MISSING
    return Cause.TOKEN_BEARER if token.lower().startswith("bearer ") else Cause.TOKEN


def blames_entries(status: int | None) -> bool:
    """Return whether the status can be caused by the content of the batch."""
    return status is not None and (status == 500 or (400 <= status < 500 and status not in _BLAMELESS))
