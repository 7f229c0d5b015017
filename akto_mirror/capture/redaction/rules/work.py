"""How much work one payload may take, whatever it is: what would take more is hidden unread."""

from __future__ import annotations

from dataclasses import dataclass

# Steps, of about a microsecond each, for a payload of 160 KB or less; and bytes of a longer one for each of its steps.
MOST_STEPS = 16_000
BYTES_TO_A_STEP = 10

# Bytes that are searched in the time of a step, by all that looks at every text, and by one expression.
BYTES_READ = 64
BYTES_SEARCHED = 512


@dataclass(slots=True)
class Work:
    """The steps that are left; negative once there were too few."""

    steps: int = MOST_STEPS

    def begin(self, size: int) -> None:
        """Begin with a payload of a size in bytes."""
        self.steps = max(MOST_STEPS, size // BYTES_TO_A_STEP)

    def take(self, steps: int = 1) -> bool:
        """Take this many steps; return whether there were enough left."""
        self.steps -= steps
        return self.steps >= 0
