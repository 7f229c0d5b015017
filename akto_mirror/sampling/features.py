"""The features of an exchange: names and types of its parameters and fields, formats, and authentication.

A feature is a 64-bit hash of such a fact. Python salts the hashes of strings for each process, so that a client cannot
make a new fact look like a known one. Names, types and limits are those of the inventory (`ingestion.entries`).

Most exchanges have the same features as many others of their endpoint. So an exchange also has a digest, which costs
one hash for each object in it; the features are computed only if the digest is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from akto_mirror.ingestion.entries import auth, kinds
from akto_mirror.ingestion.entries.fields import Payload, by_name, parse_pairs
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

# The most headers of one request that are read, as in the inventory.
MAX_HEADERS = 200

# Limits of the caches: lists of header names, and characters in a list; objects, and nested members of an object; and
# characters of a content type.
KNOWN = 512
MAX_NAMES_CHARS = 1_000
KNOWN_OBJECTS = 1_024
MAX_NESTED = 64
MAX_TYPE_CHARS = 100

# Common headers that authenticate.
CREDENTIALS = frozenset({"authorization", "cookie"})

WEBSOCKET = kinds.WEBSOCKET

# Types of values that hold no others.
PLAIN = frozenset(SCALARS)

REQUEST, RESPONSE, QUERY, HEADER = (hash((__name__, place)) for place in ("request", "response", "query", "header"))

Keys = tuple[str, ...]
Types = tuple[type, ...]

# Members that need more than their type: their positions, and hashes of their names.
Nested = tuple[tuple[int, int], ...]


class Head(NamedTuple):
    """The parts of an exchange that are known without decoding bodies; headers by lower-case names.

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


class Shown(NamedTuple):
    """The facts in a part of an exchange.

    Attributes:
        facts: facts, each of which is a feature.
        values: parsed values, each with its place.
    """

    facts: tuple[Hashable, ...]
    values: tuple[tuple[Any, int], ...]

    def digest(self) -> int:
        """Return a hash; parts with the same digest have the same features."""
        return hash((self.facts, frozenset(self._walk(_label)))) if self.values else hash(self.facts)

    def features(self) -> set[int]:
        """Return all features."""
        return self._walk(_members).union(map(hash, self.facts))

    def _walk(self, members: Members) -> set[int]:
        found = set[int]()
        for value, place in self.values:
            _Walk(found, members).enter(value, place, 0)
        return found


def of_head(head: Head) -> Shown:
    """Return the facts in a head: status, content types, authentication, query parameters and API-specific headers."""
    credentials, parameters = _relevant(tuple(head.request))
    own = {name: head.request[name] for name in credentials}
    pairs = by_name(parse_pairs(head.query)) if head.query else {}
    facts: tuple[Hashable, ...] = (
        (1, head.status),
        (2, head.type),
        (3, _essence(head.request)),
        (4, _essence(head.response)),
        (5, auth.recognise(own, pairs) if own or pairs else ()),
    )
    if parameters:
        facts += tuple((HEADER, name, text_type(value)) for name in parameters if (value := head.request[name]))
    return Shown(facts, ((pairs, QUERY),) if pairs else ())


def of_payloads(head: Head, asked: Payload, answered: Payload) -> Shown:
    """Return the facts in both payloads: fields with their types, and requested operations.

    Args:
        head: the exchange's head.
        asked: the request's payload, as its entry would contain it.
        answered: the response's payload, likewise.
    """
    facts: tuple[Hashable, ...] = ()
    if asked.form or head.query or head.type:
        kind = kinds.recognise(head.type, head.request, asked, by_name(parse_pairs(head.query)) if head.query else {})
        facts = tuple((6, kind.mark, each) for each in kind.operations) or ((6, kind.mark, ""),)
    place = hash((RESPONSE, head.status))
    values = [(value, REQUEST) for value in asked.values]
    values += [(value, place) for value in answered.values]
    return Shown(facts, tuple(values))


class _Walk:
    """Goes through values until `MAX_NODES` have been seen; a place is a hash of the names that lead to a value.

    Args:
        found: receives the facts.
        members: adds the facts in an object's plain members.
    """

    def __init__(self, found: set[int], members: Members) -> None:
        self._found = found
        self._members = members
        self._left = MAX_NODES

    def enter(self, value: Any, place: int, depth: int) -> None:
        """Visit a value and the values in it."""
        if type(value) is dict:
            self._object(value, place, depth + 1)
        elif type(value) is list:
            self._found.add(hash((place, ARRAY_BIT)))
            self._list(value, hash((place, ARRAY_BIT, "[]")), depth + 1)
        elif bit := SCALARS.get(type(value)):
            self._found.add(hash((place, bit)))
        else:
            self._found.update(hash((place, bit)) for bit in _bits(value))

    def _object(self, value: dict[str, Any], place: int, depth: int) -> None:
        if depth > MAX_DEPTH or len(value) > self._left:
            value = dict(islice(value.items(), self._left if depth <= MAX_DEPTH else 0))
        self._left -= len(value)
        keys, types = tuple(value), tuple(map(type, value.values()))
        label = hash((keys, types))
        self._members(self._found, place, label, keys, types)
        if not PLAIN.issuperset(types):
            values = tuple(value.values())
            for position, name in _known_objects.get(label) or _learn(label, keys, types):
                self.enter(values[position], hash((place, name)), depth)

    def _list(self, items: list[Any], place: int, depth: int) -> None:
        if depth <= MAX_DEPTH:
            taken = min(len(items), MAX_ITEMS, self._left)
            self._left -= taken
            for item in items[:taken]:
                self.enter(item, place, depth)


# Adds the facts in an object's plain members to those found.
Members = Callable[[set[int], int, int, Keys, Types], None]


def _label(found: set[int], place: int, label: int, _keys: Keys, _types: Types) -> None:
    found.add(hash((place, label)))


def _members(found: set[int], place: int, _label: int, keys: Keys, types: Types) -> None:
    found.add(hash((place, OBJECT_BIT)))
    for key, kind in zip(keys, types, strict=True):
        if bit := SCALARS.get(kind):
            found.add(hash((hash((place, _name(key, kind))), bit)))


def _name(key: str, kind: type) -> int:
    """Return a hash of a member's name, the same for all keys that look like ids: a map counts as one record."""
    is_name = (key.isalpha() and len(key) < 16) or issubclass(kind, Text | Typed)
    return hash(key if is_name else fold(key))


_known_objects: dict[int, Nested] = {}


def _learn(label: int, keys: Keys, types: Types) -> Nested:
    """Return the members that need more than their type, and cache them if they are few."""
    nested = tuple(
        (position, _name(keys[position], kind)) for position, kind in enumerate(types) if kind not in SCALARS
    )
    if len(nested) <= MAX_NESTED:
        if len(_known_objects) >= KNOWN_OBJECTS:
            _known_objects.clear()
        _known_objects[label] = nested
    return nested


_known_names: dict[int, tuple[Keys, Keys]] = {}


def _relevant(names: Keys) -> tuple[Keys, Keys]:
    """Return the names of request headers that may show authentication, and of those that are parameters."""
    label = hash(names)
    known = _known_names.get(label)
    if known is None:
        own = tuple(name for name in names[:MAX_HEADERS] if name in CREDENTIALS or name not in COMMON_HEADERS)
        known = own, tuple(filter(_is_parameter, own))
        if sum(map(len, own)) <= MAX_NAMES_CHARS:
            if len(_known_names) >= KNOWN:
                _known_names.clear()
            _known_names[label] = known
    return known


def _bits(value: Any) -> Iterator[int]:
    """Return the possible types of a string value one by one: a further type of a known field is new."""
    types = text_type(value) if isinstance(value, Text) else int(value) if isinstance(value, Typed) else 0
    while types:
        bit = types & -types
        yield bit
        types ^= bit


def _essence(headers: Mapping[str, str]) -> str:
    content_type = headers.get("content-type", "")
    return _short_essence(content_type) if len(content_type) <= MAX_TYPE_CHARS else _bare(content_type)


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


_short_essence = lru_cache(maxsize=KNOWN)(_bare)


def _is_parameter(name: str) -> bool:
    """Return whether a request header is specific to an API."""
    return name not in COMMON_HEADERS and not name.startswith(COMMON_PREFIXES)
