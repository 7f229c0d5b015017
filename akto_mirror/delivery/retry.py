"""Decides when a failed batch is sent again. No clock and no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

from akto_mirror.delivery.sinks.symptoms import Kind


class Durability(Enum):
    """When a batch is written to disk: never, if it cannot be delivered now, or before it is sent."""

    MEMORY = "memory"
    SPILL = "spill"
    DISK = "disk"


# A longer Retry-After is a mistake or an attack.
LONGEST_RETRY_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between attempts, and when to reject an entry.

    Attributes:
        first_s: the longest wait after the first failure; it doubles with each further one.
        longest_s: the limit of the doubling.
        slow_s: seconds between attempts if a user has to correct something: a refused token, a wrong address.
        refusals: how often an entry is refused on its own before it is rejected.
        patience_s: seconds for which an entry is refused before it is rejected, if nothing else passes either although
            the health check passes.
    """

    first_s: float = 0.25
    longest_s: float = 30.0
    slow_s: float = 60.0
    refusals: int = 3
    patience_s: float = 600.0


def wait_s(failures: int, chance: float, pace: Pace) -> float:
    """Return the seconds to wait after this many failed attempts: exponential, with full jitter.

    Args:
        failures: failed attempts in a row, at least 1.
        chance: a random number from 0 to 1.
        pace: the limits.
    """
    return chance * min(pace.longest_s, pace.first_s * 2.0 ** min(failures - 1, 60))


def retry_after_s(header: str, now: float) -> float | None:
    """Return the seconds that a `Retry-After` asks for, clamped; None if it is missing or invalid.

    It may have either form of RFC 9110, section 10.2.3: seconds, or a date.

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


@dataclass
class Health:
    """The state of the destination, and so when the next attempt may be made.

    While it is up, the next attempt is made at once; otherwise after a wait.
    """

    pace: Pace
    kind: Kind = Kind.SHIPPED
    failures: int = 0
    until: float = 0.0

    @property
    def is_up(self) -> bool:
        """Return whether the last attempt passed, or none was made."""
        return self.kind is Kind.SHIPPED

    def due_in(self, now: float) -> float:
        """Return the seconds until the next attempt may be made, 0 for now; `now` in monotonic seconds."""
        return 0.0 if self.is_up else max(0.0, self.until - now)

    def passed(self) -> None:
        """Record a successful attempt."""
        self.kind, self.failures = Kind.SHIPPED, 0

    # After a new address or token, the next attempt is made at once.
    reset = passed

    def failed(self, kind: Kind, now: float, chance: float, retry_after: float | None = None) -> None:
        """Record a failed attempt.

        Args:
            kind: the meaning of the response.
            now: monotonic seconds.
            chance: a random number from 0 to 1.
            retry_after: the seconds that the destination asked for.
        """
        self.kind = kind
        self.failures += 1
        own = wait_s(self.failures, chance, self.pace) if kind is Kind.TRANSIENT else self.pace.slow_s
        self.until = now + max(own, retry_after or 0.0)
