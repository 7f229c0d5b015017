"""Dead letters as users handle them: by their numbers, each named by its request."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.escaping import printable


class UnknownLetterError(Exception):
    """A number that no dead letter has; the text names it."""


def title(payload: bytes) -> str:
    """Name an entry by the first characters of its method and path, or by its size if it is not an entry."""
    try:
        entry = msgspec.json.decode(payload, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"({len(payload)} bytes that are not an entry)"
    return printable(f"{entry.get('method')} {entry.get('path')}", 100)


def named(spool: Spool, numbers: Collection[int]) -> set[int]:
    """Return the numbers, each of which is a dead letter's.

    Raises:
        UnknownLetterError: one is not.
        SpoolError: the disk does not answer.
    """
    unknown = set(numbers) - spool.dead_targets().keys()
    if unknown:
        raise UnknownLetterError(f"there is no refused entry {min(unknown)}")
    return set(numbers)
