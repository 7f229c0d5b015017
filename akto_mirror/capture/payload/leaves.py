"""The leaves of a payload: positions and names of its values, so that only changed values are rewritten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Place(NamedTuple):
    """The name of a value, linked to the names of its ancestors.

    Attributes:
        name: the key, the element or the attribute; empty at the root.
        parent: the place of its container. Elements of a JSON array have the array's own place.
    """

    name: str
    parent: Place | None


ROOT = Place("", None)


class Leaf(NamedTuple):
    """A value that contains no other.

    Attributes:
        start: where it begins in the bytes.
        end: one past its last byte. A JSON string's quotes are part of it.
        place: its name, with those of its ancestors.
        holder: where the innermost object, array or element around it begins; the same for siblings.
    """

    start: int
    end: int
    place: Place
    holder: int


class Change(NamedTuple):
    """New bytes for the span from `start` to `end`."""

    start: int
    end: int
    new: bytes


def splice(data: bytes, changes: Iterable[Change]) -> bytes:
    """Apply changes, which must be in order and not overlap, to the bytes."""
    out, done = list[bytes](), 0
    for start, end, new in changes:
        out += (data[done:start], new)
        done = end
    return b"".join((*out, data[done:])) if out else data
