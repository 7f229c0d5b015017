"""Merges values of many samples into shapes: types, formats, members and recurring values (pure, bounded).

A `Shape` is learned value by value, and its size is bounded whatever the values are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from akto_mirror.ingestion.entries.formats import format_of
from akto_mirror.path_templates import fold

MAX_NODES = 2_000
MAX_DEPTH = 12
MAX_ITEMS = 20
MAX_NAME_CHARS = 160
MAX_VALUES = 12
MAX_VALUE_CHARS = 40

TYPES = ("null", "boolean", "integer", "number", "string", "object", "array", "bytes", "file", "message")
BITS = {name: 1 << position for position, name in enumerate(TYPES)}
INTEGER_BIT, STRING_BIT, OBJECT_BIT, ARRAY_BIT = (BITS[name] for name in ("integer", "string", "object", "array"))
NESTED_BITS = OBJECT_BIT | ARRAY_BIT

SCALARS: dict[type, int] = {
    type(None): BITS["null"],
    bool: BITS["boolean"],
    int: INTEGER_BIT,
    float: BITS["number"],
    str: STRING_BIT,
}
INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d{1,3})?", re.ASCII)


class Text(str):
    """A string whose type has to be guessed, as in queries, forms, headers and XML."""

    __slots__ = ()


class Typed(int):
    """The bits of a value's types, if the value itself is not known."""


@dataclass(slots=True, eq=False)
class Shape:
    """The common properties of the values in one place.

    Attributes:
        name: Where they are, such as `items[].name`.
        types: The bits of their types.
        count: How many there were.
        objects: How many of them were objects; a member that was in all of them is required.
        format: The format that all strings have; empty if they differ, None before the first.
        wide: 1 if a whole number does not fit into 32 bits, 2 if one does not fit into 64.
        values: How often each string occurred; only the first one if they are too many or too long.
        varied: Whether strings are too many or too long to be listed one by one.
        members: The shapes of an object's members.
        items: The shape of an array's elements.
    """

    name: str = ""
    types: int = 0
    count: int = 0
    objects: int = 0
    format: str | None = None
    wide: int = 0
    values: dict[str, int] | None = None
    varied: bool = False
    members: dict[str, Shape] | None = None
    items: Shape | None = None


class Room:
    """How much more all shapes together may hold.

    Attributes:
        names: How many members.
        values: How many different strings.
    """

    def __init__(self, names: int, values: int) -> None:
        self.names = names
        self.values = values


class Learner:
    """Merges the values of one payload into a shape, until `MAX_NODES` have been looked at.

    Args:
        room: The remaining room, which is reduced by everything that is kept.
        may_name: Called with a new member's name; returns whether it may be kept.

    Attributes:
        texts: The texts and long numbers that were merged in, each with the name of its shape.
    """

    def __init__(self, room: Room, may_name: Callable[[str], bool]) -> None:
        self._room = room
        self._may_name = may_name
        self._left = MAX_NODES
        self.texts: list[tuple[str, str]] = []

    def learn(self, shape: Shape, value: Any, depth: int = 0) -> None:
        """Merge one value in."""
        shape.count += 1
        if bit := SCALARS.get(type(value)):
            shape.types |= bit
            if bit == STRING_BIT:
                self.texts.append((shape.name, value))
                if not (shape.varied and shape.format == ""):
                    self._string(shape, value)
            elif bit == INTEGER_BIT and not -0x80000000 <= value <= 0x7FFFFFFF:
                shape.wide = max(shape.wide, 1 if -(1 << 63) <= value < 1 << 63 else 2)
                self.texts.append((shape.name, str(value)))
        elif type(value) is dict:
            self._object(shape, value, depth)
        elif type(value) is list:
            self._list(shape, value, depth)
        elif isinstance(value, Text):
            self._text(shape, value)
        elif isinstance(value, Typed):
            shape.types |= value

    def _text(self, shape: Shape, text: str) -> None:
        bit = text_type(text)
        shape.types |= bit
        self.texts.append((shape.name, text))
        if bit == INTEGER_BIT and not -0x80000000 <= (number := int(text)) <= 0x7FFFFFFF:
            shape.wide = max(shape.wide, 1 if -(1 << 63) <= number < 1 << 63 else 2)
        self._string(shape, str(text), formatted=bit == STRING_BIT)

    def _string(self, shape: Shape, text: str, *, formatted: bool = True) -> None:
        if formatted and shape.format != "":
            found = format_of(text)
            shape.format = found if shape.format in (None, found) else ""
        if not shape.varied:
            self._note(shape, text)

    def _note(self, shape: Shape, text: str) -> None:
        """Count a string, as long as the strings are few and short."""
        if shape.values is None:
            shape.values = {}
        if text in shape.values:
            shape.values[text] += 1
        elif len(text) > MAX_VALUE_CHARS or len(shape.values) >= MAX_VALUES or not self._room.values:
            self._room.values += max(0, len(shape.values) - 1)
            shape.values = dict(islice(shape.values.items(), 1))
            shape.varied = True
        else:
            shape.values[text] = 1
            self._room.values -= 1

    def _list(self, shape: Shape, items: list[Any], depth: int) -> None:
        shape.types |= ARRAY_BIT
        if not items or depth >= MAX_DEPTH or len(shape.name) > MAX_NAME_CHARS:
            return
        if shape.items is None:
            shape.items = Shape(f"{shape.name}[]")
        for item in islice(items, self._take(min(len(items), MAX_ITEMS))):
            self.learn(shape.items, item, depth + 1)

    def _object(self, shape: Shape, value: dict[str, Any], depth: int) -> None:
        shape.types |= OBJECT_BIT
        if depth >= MAX_DEPTH:
            return
        shape.objects += 1
        if shape.members is None:
            shape.members = {}
        members = shape.members
        for key, item in islice(value.items(), self._take(len(value))):
            member = members.get(key) or self._member(shape, key, item)
            if member is not None:
                self.learn(member, item, depth + 1)

    def _member(self, shape: Shape, key: str, item: Any) -> Shape | None:
        """Return the shape of a member; all keys that look like ids share one, so that a map counts as one record."""
        members = shape.members
        assert members is not None  # noqa: S101 - for the type checker
        plain = (key.isalpha() and len(key) < 16) or isinstance(item, Text | Typed)
        short = key if plain else fold(key)
        if known := members.get(short):
            return known
        if self._room.names <= 0 or len(shape.name) > MAX_NAME_CHARS:
            return None
        name = join(shape.name, short)
        if not self._may_name(name):
            return None
        self._room.names -= 1
        made = members[short] = Shape(name)
        return made

    def _take(self, wanted: int) -> int:
        """Return how many of the wanted values may be visited."""
        taken = min(wanted, self._left)
        self._left -= taken
        return taken


def join(name: str, key: str) -> str:
    """Return a member's full name; keys of XML include their separator, and `#` is an element's own text."""
    if key[:1] in ("/", "@"):
        return name + key if name else key.removeprefix("/")
    if key == "#":
        return name
    return f"{name}.{key}" if name else key


def text_type(text: str) -> int:
    """Return the bit of the type that a string looks like."""
    if INTEGER.fullmatch(text):
        return INTEGER_BIT
    if text in ("true", "false"):
        return BITS["boolean"]
    return BITS["number"] if len(text) < 40 and NUMBER.fullmatch(text) else STRING_BIT


def type_names(bits: int) -> list[str]:
    """Return the names of the types for bits."""
    return [name for name, bit in BITS.items() if bits & bit]


def rows(shape: Shape, of: int) -> Iterator[tuple[Shape, int]]:
    """Yield the shapes for a list of fields, in order, each with how often it could have been present.

    An object or array whose members are listed is itself listed only if it sometimes had another type.

    Args:
        shape: Where to begin.
        of: How often that could have been present.
    """
    children = bool(shape.members) or shape.items is not None
    if shape.count and (not children or shape.types & ~NESTED_BITS):
        yield shape, of
    for member in (shape.members or {}).values():
        yield from rows(member, shape.objects)
    if shape.items is not None:
        yield from rows(shape.items, shape.items.count)


def choices(shape: Shape) -> list[str]:
    """Return the values if they look like an enumeration: few different strings in many samples; else none."""
    values = shape.values
    if shape.varied or shape.format or not values or not shape.types & STRING_BIT:
        return []
    total = sum(values.values())
    if not 2 <= len(values) <= 10 or total < max(20, 10 * len(values)) or not all(map(CHOICE.fullmatch, values)):
        return []
    return list(values)


# Strings as programs name alternatives, unlike text that users type.
CHOICE = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,39}")


def merge(into: Shape, other: Shape) -> None:
    """Merge a shape into another one."""
    into.types |= other.types
    into.count += other.count
    into.objects += other.objects
    into.wide = max(into.wide, other.wide)
    if other.format is not None:
        into.format = other.format if into.format in (None, other.format) else ""
    _merge_values(into, other)
    for key, member in (other.members or {}).items():
        into.members = into.members or {}
        merge(into.members.setdefault(key, Shape(member.name)), member)
    if other.items is not None:
        into.items = into.items or Shape(other.items.name)
        merge(into.items, other.items)


def _merge_values(into: Shape, other: Shape) -> None:
    values = dict(into.values or {})
    for text, count in (other.values or {}).items():
        values[text] = values.get(text, 0) + count
    into.varied = into.varied or other.varied or len(values) > MAX_VALUES
    into.values = dict(islice(values.items(), 1 if into.varied else None)) or None
