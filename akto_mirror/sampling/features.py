"""What an exchange shows: the names and types of its parameters and fields, its formats, and how it authenticates.

A feature is a 64-bit hash of such a fact. Python salts the hashes of texts for each process, so that a client cannot
make a new fact look like a known one. Names, types and bounds are those of the inventory (`ingestion.entries`).

Most exchanges show what many others of their endpoint have shown. So an exchange has a digest too, which costs one hash
for each object in it, and only what is not known by its digest is taken apart into features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from akto_mirror.ingestion.entries import auth, kinds
from akto_mirror.ingestion.entries.fields import by_name, parse_pairs, read_payload
from akto_mirror.ingestion.entries.reading import COMMON_HEADERS, COMMON_PREFIXES
from akto_mirror.ingestion.entries.shapes import (
    ARRAY_BIT,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_NODES,
    OBJECT_BIT,
    SCALARS,
    Text,
    Typed,
    text_type,
)
from akto_mirror.path_templates import fold

# Headers of one request that are looked at, as the inventory does.
MAX_HEADERS = 200

# Objects of up to this many members are remembered by the types of these.
NARROW = 64

# Of heads, what is remembered: how many, and of how many characters each.
KNOWN = 512
MAX_NAMES_CHARS = 1_000

# Common headers that authenticate.
CREDENTIALS = frozenset({"authorization", "cookie"})

WEBSOCKET = kinds.WEBSOCKET

REQUEST, RESPONSE, QUERY, HEADER = (hash((__name__, place)) for place in ("request", "response", "query", "header"))

Keys = tuple[str, ...]
Types = tuple[type, ...]


class Head(NamedTuple):
    """What is known of an exchange before any body is decoded; headers by lower-case names.

    Attributes:
        host: the host asked for, with its port if it names one.
        method: the request's method.
        path: the path without its query.
        query: the query string without its question mark.
        status: the response's status code.
        type: `WEBSOCKET`, or empty.
        request: the request's headers.
        response: the response's headers.
    """

    host: str
    method: str
    path: str
    query: str
    status: int
    type: str
    request: Mapping[str, str]
    response: Mapping[str, str]


class Payload(NamedTuple):
    """A payload as it would be sent: its text, and the content type of that."""

    text: str
    content_type: str


class Shown(NamedTuple):
    """What a part of an exchange shows.

    Attributes:
        plain: features that are known at once.
        values: parsed values, and the place of each.
    """

    plain: frozenset[int]
    values: tuple[tuple[Any, int], ...]

    def digest(self) -> int:
        """Return a hash; two of the same digest have the same features."""
        return hash(self.plain | self._walk(_label)) if self.values else hash(self.plain)

    def features(self) -> set[int]:
        """Return all features."""
        return self._walk(_members) | self.plain

    def _walk(self, members: Members) -> set[int]:
        found = set[int]()
        for value, place in self.values:
            _Walk(found, members).enter(value, place, 0)
        return found


def of_head(head: Head) -> Shown:
    """Return what a head shows: status, content types, authentication, query parameters and own headers."""
    relevant = _relevant(tuple(head.request))
    own = {name: value for name in relevant if (value := head.request.get(name))} if relevant else {}
    pairs = by_name(parse_pairs(head.query)) if head.query else {}
    found = {
        hash((1, head.status)),
        hash((2, head.type)),
        hash((3, _essence(head.request))),
        hash((4, _essence(head.response))),
        hash((5, auth.recognise(own, pairs))),
    }
    found.update(hash((HEADER, name, text_type(value))) for name, value in own.items() if _is_parameter(name))
    return Shown(frozenset(found), ((pairs, QUERY),) if pairs else ())


def of_payloads(head: Head, request: Payload, response: Payload) -> Shown:
    """Return what both payloads show: their fields with their types, and the operations that are asked for."""
    asked = read_payload(*request)
    answered = read_payload(*response)
    found, place = set[int](), hash((RESPONSE, head.status))
    if request.text or head.query or head.type:
        kind = kinds.recognise(head.type, head.request, asked, by_name(parse_pairs(head.query)) if head.query else {})
        found.update(hash((6, kind.mark, operation)) for operation in kind.operations or ("",))
    values = *((value, REQUEST) for value in asked.values), *((value, place) for value in answered.values)
    return Shown(frozenset(found), values)


class _Walk:
    """Goes through values until `MAX_NODES` have been seen; a place is a hash of the names that lead to a value.

    Args:
        found: gets what the values show.
        members: returns what an object's plain members show.
    """

    def __init__(self, found: set[int], members: Members) -> None:
        self._found = found
        self._members = members
        self._left = MAX_NODES

    def enter(self, value: Any, place: int, depth: int) -> None:
        """Look at a value and at what it holds."""
        if type(value) is dict:
            self._object(value, place, depth + 1)
        elif bit := SCALARS.get(type(value)):
            self._found.add(hash((place, bit)))
        elif isinstance(value, list):
            self._found.add(hash((place, ARRAY_BIT)))
            self._list(value, hash((place, ARRAY_BIT, "[]")), depth + 1)
        else:
            self._found.update(hash((place, bit)) for bit in _bits(value))

    def _object(self, value: dict[str, Any], place: int, depth: int) -> None:
        taken = self._take(len(value)) if depth <= MAX_DEPTH else 0
        if taken < len(value):
            value = dict(islice(value.items(), taken))
        keys, types = tuple(value), tuple(map(type, value.values()))
        self._found.update(self._members(place, keys, types))
        positions = (_few_nested if taken <= NARROW else _nested)(types)
        if positions:
            values = tuple(value.values())
            for position in positions:
                self.enter(values[position], _inner(place, keys[position], types[position]), depth)

    def _list(self, items: list[Any], place: int, depth: int) -> None:
        if depth <= MAX_DEPTH:
            for item in islice(items, self._take(min(len(items), MAX_ITEMS))):
                self.enter(item, place, depth)

    def _take(self, wanted: int) -> int:
        """Return how many of the values wanted may be looked at."""
        taken = min(wanted, self._left)
        self._left -= taken
        return taken


Members = Callable[[int, Keys, Types], Iterable[int]]


def _label(place: int, keys: Keys, types: Types) -> tuple[int]:
    return (hash((place, keys, types)),)


def _members(place: int, keys: Keys, types: Types) -> Iterator[int]:
    yield hash((place, OBJECT_BIT))
    for key, kind in zip(keys, types, strict=True):
        if bit := SCALARS.get(kind):
            yield hash((_inner(place, key, kind), bit))


def _inner(place: int, key: str, kind: type) -> int:
    """Return the place of a member; keys of JSON that look like ids are one: a map of records is one record."""
    is_name = (key.isalpha() and len(key) < 16) or issubclass(kind, Text | Typed)
    return hash((place, key if is_name else fold(key)))


def _nested(types: Types) -> tuple[int, ...]:
    """Return the positions of members that are more than a type."""
    return tuple(position for position, kind in enumerate(types) if kind not in SCALARS)


_few_nested = lru_cache(maxsize=4096)(_nested)


_known_names: dict[int, tuple[str, ...]] = {}


def _relevant(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of a request's header names whose values may show authentication, or parameters."""
    label = hash(names)
    known = _known_names.get(label)
    if known is None:
        known = tuple(name for name in names[:MAX_HEADERS] if name in CREDENTIALS or name not in COMMON_HEADERS)
        if sum(map(len, known)) <= MAX_NAMES_CHARS:
            if len(_known_names) >= KNOWN:
                _known_names.clear()
            _known_names[label] = known
    return known


def _bits(value: Any) -> Iterator[int]:
    """Return the types of a value without a type of its own, one by one: a further type of a known field is new."""
    types = text_type(value) if isinstance(value, Text) else int(value) if isinstance(value, Typed) else 0
    while types:
        bit = types & -types
        yield bit
        types ^= bit


def _essence(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_parameter(name: str) -> bool:
    """Return whether a request header says something to one API in particular."""
    return name not in COMMON_HEADERS and not name.startswith(COMMON_PREFIXES)
