"""Decides when the disk may be used: after an error it rests for a while; errors are logged at a low rate. No I/O."""

from __future__ import annotations

import logging

from akto_mirror.delivery.spool.errors import NoSpaceError, SpoolBusy, SpoolError, SpoolFull
from akto_mirror.delivery.spool.lock import LOCK_S

logger = logging.getLogger(__name__)

# Seconds for which the disk is not used after an error.
RETRY_S = 30.0

# Seconds for which it is not used after waiting in vain for another process's lock; doubled while the lock persists.
BUSY_S = LOCK_S + 1.0

# Seconds until a full spool is tried again, unless a batch leaves it before; and until a full disk is tried again on
# which not even a small write succeeded.
FULL_RETRY_S = 5.0

# Minimum seconds between two lines about a full spool, which is full again and again while it drains under traffic.
FULL_LINE_S = 300.0

NEVER = float("-inf")


class Access:
    """Decides about the disk; all times are monotonic seconds."""

    def __init__(self) -> None:
        self._retry_at = NEVER
        self._keep_at = NEVER
        self._busy_s = BUSY_S
        self._is_troubled = False
        self._is_full = False
        self._full_logged_at = NEVER

    def usable_in(self, now: float) -> float:
        """Return the seconds until batches can be taken."""
        return max(0.0, self._retry_at - now)

    def keeps_in(self, now: float) -> float:
        """Return the seconds until batches can be kept."""
        return max(self.usable_in(now), self._keep_at - now)

    def insist(self) -> None:
        """Use the disk again the next time, regardless of earlier errors."""
        self._retry_at = self._keep_at = NEVER

    def has_room(self) -> None:
        """Record that something has left the spool, which has room again."""
        if self._is_full:
            self._is_full = False
            self._keep_at = NEVER

    def passed(self, *, is_large: bool) -> None:
        """Note that the disk works; after an error only a large write proves it."""
        self._busy_s = BUSY_S
        if self._is_troubled and is_large:
            self._is_troubled = False
            logger.info("akto: the spool works again")

    def failed(self, error: SpoolError, now: float, *, is_large: bool) -> None:
        """Stop using the disk for a while; if only space is missing, batches can still be taken from it and removed."""
        if isinstance(error, SpoolFull):
            self._be_full(error, now)
        elif isinstance(error, SpoolBusy):
            self._be_patient(error, now)
        elif isinstance(error, NoSpaceError):
            self._keep_at = now + RETRY_S
            self._retry_at = self._retry_at if is_large else now + FULL_RETRY_S
            self._warn(error)
        else:
            self._retry_at = now + RETRY_S
            self._warn(error)

    def _be_full(self, error: SpoolFull, now: float) -> None:
        self._keep_at = now + FULL_RETRY_S
        self._is_full = True
        if now - self._full_logged_at >= FULL_LINE_S:
            self._full_logged_at = now
            logger.warning("akto: %s (akto_spool_bytes); entries stay in memory until there is room again", error)

    def _be_patient(self, error: SpoolBusy, now: float) -> None:
        """Try again soon: another process's lock is not an error unless it persists."""
        self._retry_at = now + self._busy_s
        if self._busy_s > BUSY_S:
            self._warn(error)
        self._busy_s = min(2 * self._busy_s, RETRY_S)

    def _warn(self, error: SpoolError) -> None:
        if not self._is_troubled:
            self._is_troubled = True
            logger.warning("akto: the spool cannot be used: %s; entries stay in memory meanwhile", error)
