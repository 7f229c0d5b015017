"""Whether and when a failed batch is sent again. No clock and no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum


class Durability(Enum):
    """When a batch is written to disk: never, when it cannot be delivered now, or before it is sent."""

    MEMORY = "memory"
    SPILL = "spill"
    DISK = "disk"


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

# A Retry-After beyond this is a mistake or an attack.
LONGEST_RETRY_AFTER_S = 300.0


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

# How a fault of a file begins.
UNWRITABLE = "cannot write"

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


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between tries, and how much it takes to blame an entry.

    Attributes:
        first_s: the longest wait after the first failure; it doubles with each further one.
        longest_s: where the doubling ends.
        slow_s: between tries where a person has to mend something: a refused token, a wrong address.
        refusals: how often an entry is refused on its own before it is given up.
        patience_s: how long an entry is refused before it is given up where nothing else passes either, though the
            other side calls itself healthy.
    """

    first_s: float = 0.25
    longest_s: float = 30.0
    slow_s: float = 60.0
    refusals: int = 3
    patience_s: float = 600.0


def judge(status: int | None) -> Kind:
    """Tell what an HTTP status means; None is trouble with the network.

    Akto's service says yes with 200 and nothing else; whoever answers with another 2xx is not Akto's service.
    """
    if status is None or status >= 500 or status in TRANSIENT:
        return Kind.TRANSIENT
    if status in AUTH:
        return Kind.AUTH
    return Kind.SHIPPED if status == 200 else Kind.SETUP


def blames_entries(status: int | None) -> bool:
    """Tell whether the status can be due to what the batch holds."""
    return status is not None and (status == 500 or (400 <= status < 500 and status not in BLAMELESS))


def wait_s(failures: int, chance: float, pace: Pace) -> float:
    """Return the seconds to wait after so many failed tries: exponential, with full jitter.

    Args:
        failures: failed tries in a row, at least 1.
        chance: a random number from 0 to 1.
        pace: what bounds it.
    """
    return chance * min(pace.longest_s, pace.first_s * 2.0 ** min(failures - 1, 60))


def retry_after_s(header: str, now: float) -> float | None:
    """Return the seconds that a `Retry-After` asks for, clamped; None if there is none that can be read.

    Both forms of RFC 9110, section 10.2.3: seconds, or a date.

    Args:
        header: the header's value.
        now: epoch seconds.
    """
    text = header.strip()
    asked = float(text) if text.isascii() and text.isdigit() and len(text) < 20 else _until(text, now)
    return None if asked is None or not math.isfinite(asked) else min(max(asked, 0.0), LONGEST_RETRY_AFTER_S)


def _until(date: str, now: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def hint(status: int | None) -> str:
    """Name the likely mistake behind a status that waiting does not mend; empty if there is none to name."""
    if status is None or judge(status) in (Kind.SHIPPED, Kind.TRANSIENT):
        return ""
    if 300 <= status < 400:
        return "akto_url redirects: set it to where it leads (https:// instead of http://?)"
    return HINTS.get(status, "akto_url does not lead to Akto's ingestion service: check it with `akto-mirror check`")


def network_hint(detail: str) -> str:
    """Name the likely mistake behind a fault of the network, or how to find it."""
    found = (hint for mark, hint in NETWORK_HINTS if mark.lower() in detail.lower())
    return next(found, "look at the way there with `akto-mirror check`")


@dataclass
class Health:
    """How the other side does, and so when the next try may be made.

    Up: at once. Otherwise one try at a time, each after a wait.
    """

    pace: Pace
    kind: Kind = Kind.SHIPPED
    failures: int = 0
    until: float = 0.0

    @property
    def is_up(self) -> bool:
        """Tell whether the last try passed, or none was made."""
        return self.kind is Kind.SHIPPED

    def due_in(self, now: float) -> float:
        """Return the seconds until the next try may be made, 0 for now; `now` in monotonic seconds."""
        return 0.0 if self.is_up else max(0.0, self.until - now)

    def passed(self) -> None:
        """Take note of a try that passed."""
        self.kind, self.failures = Kind.SHIPPED, 0

    # A new address or token deserves a try at once.
    reset = passed

    def failed(self, kind: Kind, now: float, chance: float, retry_after: float | None = None) -> None:
        """Take note of a try that failed.

        Args:
            kind: what the answer means.
            now: monotonic seconds.
            chance: a random number from 0 to 1.
            retry_after: the seconds that the other side asked for.
        """
        self.kind = kind
        self.failures += 1
        own = wait_s(self.failures, chance, self.pace) if kind is Kind.TRANSIENT else self.pace.slow_s
        self.until = now + max(own, retry_after or 0.0)
