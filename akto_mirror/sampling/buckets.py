"""Rate limits as token buckets: new exchanges may use a whole bucket, others only its upper half (pure)."""

from __future__ import annotations

# Seconds of tokens that a bucket holds.
BURST_S = 2.0


class Bucket:
    """A token bucket.

    Args:
        rate: tokens a second; 0 for no cap.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._capacity = BURST_S * rate
        self._tokens = self._capacity
        self._filled_at = float("-inf")

    def has(self, now: float, *, is_new: bool) -> bool:
        """Return whether something may pass at `now`, in seconds."""
        if not self._rate:
            return True
        self._fill(now)
        return self._tokens > (0.0 if is_new else self._capacity / 2)

    def take(self, tokens: int) -> None:
        """Take tokens; the bucket may be overdrawn, so that an entry larger than the bucket can pass."""
        self._tokens -= tokens

    def _fill(self, now: float) -> None:
        """Add the tokens for the time that has passed; restart if the clock was set back, but ignore jitter."""
        if now > self._filled_at:
            self._tokens = min(self._capacity, self._tokens + self._rate * (now - self._filled_at))
            self._filled_at = now
        elif now < self._filled_at - BURST_S:
            self._filled_at = now
