"""Whether and when a failed batch is sent again. No clock and no I/O."""

from __future__ import annotations

from enum import Enum

from akto_mirror.sinks.base import SendResult

TRIES = 5
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 30.0

# 422 is what Akto's service answers to any exception of its own, trouble with Kafka included, so it may pass.
TRANSIENT = frozenset({408, 422, 425, 429})


class Outcome(Enum):
    """What a send came to."""

    SHIPPED = "shipped"
    RETRY = "retry"
    REJECTED = "rejected"


def judge(result: SendResult) -> Outcome:
    """Tell what to do after a send; a result without a status is trouble with the network."""
    if result.status is None or result.status >= 500 or result.status in TRANSIENT:
        return Outcome.RETRY
    return Outcome.SHIPPED if 200 <= result.status < 300 else Outcome.REJECTED


def wait_s(tries: int, chance: float) -> float:
    """Return the seconds to wait after so many failed tries: exponential, with full jitter.

    Args:
        tries: failed tries so far, at least 1.
        chance: a random number from 0 to 1.
    """
    return chance * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**tries)
