"""Formats a number with its noun."""

from __future__ import annotations

PLURALS = {"entry": "entries", "batch": "batches", "is": "are", "waits": "wait", "was": "were"}


def count(number: int, thing: str) -> str:
    """Return `1 entry`, `2 entries`, `1,000 dead letters`: a number and a noun in the singular or plural."""
    rest, space, word = thing.rpartition(" ")
    return f"{number:,} {thing if number == 1 else rest + space + PLURALS.get(word, f'{word}s')}"


def verb(number: int, one: str) -> str:
    """Return the verb form for a number: `is` or `are`."""
    return one if number == 1 else PLURALS[one]
