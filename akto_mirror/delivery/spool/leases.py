"""Decides which processes are dead: those without a heartbeat for the length of a lease. No clock and no I/O.

A heartbeat is a number that its process increments. Clocks are never compared, and the system clock is not used: each
process measures by its monotonic clock for how long a number has not changed.
"""

from __future__ import annotations

from collections.abc import Mapping


class Watch:
    """Watches heartbeats.

    Args:
        lease_s: seconds without a heartbeat after which a process counts as dead.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._seen: dict[str, tuple[float, float]] = {}
        self._looked_at = float("-inf")

    def dead(self, signs: Mapping[str, float], now: float) -> set[str]:
        """Look at all heartbeats, and return the owners without a new one for the length of a lease.

        After a long pause of this process, for example when the machine was suspended, the others have half a lease for
        a new heartbeat: at most half a lease of the time between two looks counts.

        Args:
            signs: each process's last heartbeat.
            now: monotonic seconds.
        """
        passed = min(now - self._looked_at, self._lease_s / 2)
        self._looked_at = now
        before, self._seen = self._seen, {}
        for name, sign in signs.items():
            last, age = before.get(name, (None, 0.0))
            self._seen[name] = (sign, age + passed if last == sign else 0.0)
        return {name for name, (_, age) in self._seen.items() if age >= self._lease_s}
