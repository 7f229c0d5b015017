"""Numbers of things in words."""

from __future__ import annotations

PLURALS = {"entry": "entries", "batch": "batches", "is": "are", "waits": "wait", "was": "were"}


def count(number: int, thing: str) -> str:
    """Return `1 entry`, `2 entries`, `1,000 refused entries`: a number and its thing, the last word of which varies."""
    rest, space, word = thing.rpartition(" ")
    return f"{number:,} {thing if number == 1 else rest + space + PLURALS.get(word, f'{word}s')}"


def verb(number: int, one: str) -> str:
    """Return the form of a verb that a number of things takes: `is` or `are`."""
    return one if number == 1 else PLURALS[one]
