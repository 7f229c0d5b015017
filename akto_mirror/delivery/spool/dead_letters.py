"""Dead letters for users: checks their numbers, and names each by its request."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.escaping import printable


class UnknownLetterError(Exception):
    """There is no dead letter with this number; the text names it."""


def title(payload: bytes) -> str:
    """Name an entry by the first characters of its method and path, or by its size if it is not an entry."""
    try:
        entry = msgspec.json.decode(payload, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"({len(payload)} bytes that are not an entry)"
    return printable(f"{entry.get('method')} {entry.get('path')}", 100)


def named(spool: Spool, numbers: Collection[int]) -> set[int]:
    """Check that each number is that of a dead letter, and return them.

    Raises:
        UnknownLetterError: one of them is not.
        SpoolError: the spool cannot be read.
    """
    unknown = set(numbers) - spool.dead_targets().keys()
    if unknown:
        raise UnknownLetterError(f"there is no dead letter {min(unknown)}")
    return set(numbers)
