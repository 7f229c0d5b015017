"""What an exchange shows: the names and types of its parameters and fields, its formats, and how it authenticates.

A feature is a 64-bit hash of such a fact. Python salts the hashes of texts for each process, so that a client cannot
make a new fact look like a known one. Names, types and bounds are those of the inventory (`ingestion.entries`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from akto_mirror.ingestion.entries import auth, kinds
from akto_mirror.ingestion.entries.fields import Payload, by_name, parse_pairs, read_payload
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

# Names up to this many characters are remembered by how they are read.
SHORT = 64

# Objects of up to this many members are remembered by their names and types.
NARROW = 64
KNOWN = 512

WEBSOCKET = kinds.WEBSOCKET

REQUEST, RESPONSE, QUERY, HEADER = (hash((__name__, place)) for place in ("request", "response", "query", "header"))


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


def of_head(head: Head) -> set[int]:
    """Return the features of a head: status, content types, authentication, query parameters and own headers."""
    pairs = _pairs(head)
    found = {
        hash((1, head.status)),
        hash((2, head.type)),
        hash((3, _essence(head.request))),
        hash((4, _essence(head.response))),
        hash((5, auth.recognise(head.request, pairs))),
    }
    found.update(
        hash((HEADER, name, text_type(value)))
        for name, value in islice(head.request.items(), MAX_HEADERS)
        if (_is_short_parameter(name) if len(name) <= SHORT else _is_parameter(name))
    )
    if pairs:
        _Walk(found).enter(pairs, QUERY, 0)
    return found


def of_payloads(head: Head, request: str, response: str) -> set[int]:
    """Return the features of both payloads: their fields with their types, and the operations that are asked for."""
    asked = read_payload(request, head.request.get("content-type", ""))
    answered = read_payload(response, head.response.get("content-type", ""))
    kind = kinds.recognise(head.type, head.request, asked, _pairs(head))
    found = {hash((6, kind.mark, operation)) for operation in kind.operations or ("",)}
    for place, payload in ((REQUEST, asked), (hash((RESPONSE, head.status)), answered)):
        _walk(payload, place, found)
    return found


def _walk(payload: Payload, place: int, found: set[int]) -> None:
    walk = _Walk(found)
    for value in payload.values:
        walk.enter(value, place, 0)


class _Walk:
    """Goes through values until `MAX_NODES` have been seen; a place is a hash of the names that lead to a value."""

    def __init__(self, found: set[int]) -> None:
        self._found = found
        self._left = MAX_NODES

    def enter(self, value: Any, place: int, depth: int) -> None:
        """Add the features of a value and of what it holds."""
        if bit := SCALARS.get(type(value)):
            self._found.add(hash((place, bit)))
        elif isinstance(value, dict):
            self._found.add(hash((place, OBJECT_BIT)))
            if depth < MAX_DEPTH:
                self._object(value, place, depth + 1)
        elif isinstance(value, list):
            self._found.add(hash((place, ARRAY_BIT)))
            if depth < MAX_DEPTH:
                self._list(value, hash((place, ARRAY_BIT, "[]")), depth + 1)
        else:
            self._found.update(hash((place, bit)) for bit in _bits(value))

    def _object(self, value: dict[str, Any], place: int, depth: int) -> None:
        taken = self._take(len(value))
        if taken < len(value):
            value = dict(islice(value.items(), taken))
        read = _short_members if taken <= NARROW else _members
        features, nested = read(place, tuple(value), tuple(map(type, value.values())))
        self._found |= features
        if nested:
            values = tuple(value.values())
            for position, inner in nested:
                self.enter(values[position], inner, depth)

    def _list(self, items: list[Any], place: int, depth: int) -> None:
        for item in islice(items, self._take(min(len(items), MAX_ITEMS))):
            self.enter(item, place, depth)

    def _take(self, wanted: int) -> int:
        """Return how many of the values wanted may be looked at."""
        taken = min(wanted, self._left)
        self._left -= taken
        return taken


class _Members(NamedTuple):
    """What an object's names and types come to.

    Attributes:
        features: of its plain members.
        nested: of each other member its position and its place.
    """

    features: frozenset[int]
    nested: tuple[tuple[int, int], ...]


# Objects of the same members come again and again, in one list and in one exchange after another. Known by hashes, so
# that long names take no memory.
_known_members: dict[int, _Members] = {}


def _short_members(place: int, keys: tuple[str, ...], types: tuple[type, ...]) -> _Members:
    label = hash((place, keys, types))
    known = _known_members.get(label)
    if known is None:
        if len(_known_members) >= KNOWN:
            _known_members.clear()
        known = _known_members[label] = _members(place, keys, types)
    return known


def _members(place: int, keys: tuple[str, ...], types: tuple[type, ...]) -> _Members:
    """Keys of JSON that look like ids are one: a map of records is one record."""
    found, nested = set[int](), list[tuple[int, int]]()
    for position, (key, kind) in enumerate(zip(keys, types, strict=True)):
        is_name = (key.isalpha() and len(key) < 16) or issubclass(kind, Text | Typed)
        inner = hash((place, key if is_name else fold(key)))
        if bit := SCALARS.get(kind):
            found.add(hash((inner, bit)))
        else:
            nested.append((position, inner))
    return _Members(frozenset(found), tuple(nested))


def _bits(value: Any) -> Iterator[int]:
    """Return the types of a value without a type of its own, one by one: a further type of a known field is new."""
    types = text_type(value) if isinstance(value, Text) else int(value) if isinstance(value, Typed) else 0
    while types:
        bit = types & -types
        yield bit
        types ^= bit


def _pairs(head: Head) -> dict[str, Any]:
    return by_name(parse_pairs(head.query)) if head.query else {}


def _essence(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_parameter(name: str) -> bool:
    """Return whether a request header says something to one API in particular."""
    return name not in COMMON_HEADERS and not name.startswith(COMMON_PREFIXES)


_is_short_parameter = lru_cache(maxsize=4096)(_is_parameter)
