"""Counts how often hashes occur, in a fixed number of bytes (pure).

A count-min sketch of two rows in one array, with conservative updates (Estan and Varghese, 2002): collisions of hashes
can make a count too high, never too low. It is cleared before collisions become likely.
"""

from __future__ import annotations

# Counts per cell after which the sketch is cleared: one hash in a million has then collided in both of its cells four
# times.
LOAD = 0.25


class Recurrence:
    """The sketch.

    Args:
        cells: bytes that it takes.
    """

    def __init__(self, cells: int) -> None:
        self._cells = bytearray(cells)
        self._left = int(LOAD * cells)

    def count(self, value: int) -> int:
        """Count a 64-bit hash, and return how often it has occurred; 255 means 255 or more."""
        if not self._left:
            self._cells, self._left = bytearray(len(self._cells)), int(LOAD * len(self._cells))
        self._left -= 1
        cells, size = self._cells, len(self._cells)
        first, second = value % size, (value >> 32) % size
        found = min(cells[first], cells[second], 254) + 1
        cells[first] = max(cells[first], found)
        cells[second] = max(cells[second], found)
        return found
