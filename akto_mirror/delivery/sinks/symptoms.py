"""What the answer to a batch means, and the likely mistake behind one that waiting does not fix. No I/O."""

from __future__ import annotations

from enum import Enum

# How the text of an error of a file begins.
UNWRITABLE = "cannot write"


class Kind(Enum):
    """What the answer to a batch means."""

    SHIPPED = "shipped"
    TRANSIENT = "transient"
    AUTH = "auth"
    SETUP = "set-up mistake"


# 422 is what Akto's service answers to any exception of its own, trouble with Kafka included, so it may pass.
TRANSIENT = frozenset({408, 422, 425, 429})
AUTH = frozenset({401, 403})

# Answers of the 400s that tell of the request's manner and not of the entries in it.
BLAMELESS = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 426, 429})

TOO_LARGE = 413

_TOKEN = "the token is missing or wrong: set akto_token or AKTO_API_TOKEN"  # noqa: S105 - the names of options
_PATH = "akto_url names no ingestion service: check its host, port and path (Akto's path is /api/ingestData)"

HINTS = {
    401: _TOKEN,
    403: _TOKEN,
    404: _PATH,
    405: _PATH,
    407: "a proxy in between asks for a password: let akto_url be reached directly",
    TOO_LARGE: "the batch is too large for a server in between: set a smaller akto_batch_bytes",
}


_MAYBE_TLS = (
    "if the port speaks TLS, write https:// instead of http:// in akto_url; else look at the way there with "
    "`akto-mirror check`"
)
_UNKNOWN_HOST = "check the spelling of the host in akto_url, or this machine's name resolution"

# What the text of a fault tells about the mistake behind it: OpenSSL's, the system's and httpx's own words.
NETWORK_HINTS = (
    (UNWRITABLE, "make it writable, make room, or name another file in akto_url"),
    ("CERTIFICATE_VERIFY_FAILED", "set SSL_CERT_FILE to a PEM file with the certificate of its issuer"),
    ("WRONG_VERSION_NUMBER", "the port speaks no TLS: write http:// instead of https:// in akto_url"),
    ("handshake operation timed out", "if the port speaks no TLS, write http:// instead of https:// in akto_url"),
    ("record layer failure", "the port speaks no TLS: write http:// instead of https:// in akto_url"),
    ("Connection reset by peer", _MAYBE_TLS),
    ("Server disconnected without sending a response", _MAYBE_TLS),
    ("illegal status line", _MAYBE_TLS),
    ("Name or service not known", _UNKNOWN_HOST),
    ("No address associated with hostname", _UNKNOWN_HOST),
    ("nodename nor servname provided", _UNKNOWN_HOST),
    ("Temporary failure in name resolution", _UNKNOWN_HOST),
    ("Connection refused", "nothing listens there: start the service, or correct akto_url"),
)


def judge(status: int | None) -> Kind:
    """Return what an HTTP status means; None is trouble with the network.

    Akto's service says yes with 200 and nothing else; a server that answers with another 2xx is not Akto's service.
    """
    if status is None or status >= 500 or status in TRANSIENT:
        return Kind.TRANSIENT
    if status in AUTH:
        return Kind.AUTH
    return Kind.SHIPPED if status == 200 else Kind.SETUP


def blames_entries(status: int | None) -> bool:
    """Return whether the status can be due to what the batch holds."""
    return status is not None and (status == 500 or (400 <= status < 500 and status not in BLAMELESS))


def hint(status: int | None) -> str:
    """Name the likely mistake behind a status that waiting does not fix; empty if there is none to name."""
    if status is None or judge(status) in (Kind.SHIPPED, Kind.TRANSIENT):
        return ""
    if 300 <= status < 400:
        return "akto_url redirects: set it to where it leads (https:// instead of http://?)"
    return HINTS.get(status, "akto_url does not lead to Akto's ingestion service: check it with `akto-mirror check`")


def network_hint(detail: str) -> str:
    """Name the likely mistake behind a fault of the network, or how to find it."""
    found = (hint for mark, hint in NETWORK_HINTS if mark.lower() in detail.lower())
    return next(found, "look at the way there with `akto-mirror check`")
