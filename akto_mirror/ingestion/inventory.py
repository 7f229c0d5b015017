"""The inventory: merges entries into hosts and endpoints as they arrive (pure, bounded)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from akto_mirror.ingestion.entries import auth, concerns, kinds, sensitive
from akto_mirror.ingestion.entries.concerns import Concern, Concerns
from akto_mirror.ingestion.entries.endpoints import Body, Endpoint, Raised
from akto_mirror.ingestion.entries.fields import Payload, by_name, parse_pairs, read_payload
from akto_mirror.ingestion.entries.reading import (
    clean,
    key_of,
    left_out_of,
    media_type,
    parameters,
    read_headers,
    seconds_of,
    status_of,
    target_of,
    text_of,
)
from akto_mirror.ingestion.entries.sensitive import Part
from akto_mirror.ingestion.entries.shapes import MAX_NAME_CHARS, Learner, Room, Shape, Text
from akto_mirror.ingestion.filters import Filter, parse
from akto_mirror.ingestion.samples import Samples
from akto_mirror.path_templates import ids_of

MAX_ENDPOINTS = 20_000
MAX_HOSTS = 1_000
MAX_FIELDS = 1_000  # of one endpoint
MAX_OPERATIONS = 200  # of one endpoint
MAX_BODIES = 40  # of one endpoint: pairs of status and media type
MAX_NAMES = 250_000  # of fields, operations, statuses and marks in all
MAX_VALUES = 250_000  # different strings that are kept to find enumerations in
MAX_STATUSES = 40  # of one endpoint
MAX_SENSITIVE = 200  # of one endpoint: kinds and fields
MAX_SENTENCE_CHARS = 300
MAX_PAGE = 500

FORM_MEDIA = {"json": "application/json", "xml": "application/xml", "text": "text/plain", "grpc": "application/grpc"}


class Found(NamedTuple):
    """One page of a search.

    Attributes:
        everywhere: How many endpoints match on all hosts.
        hosts: For each host with a match: its name, its matching endpoints and their entries.
        total: How many endpoints match on the chosen host.
        endpoints: Those on this page.
        matching: All that match on the chosen host, in order.
    """

    everywhere: int
    hosts: list[tuple[str, int, int]]
    total: int
    endpoints: list[Endpoint]
    matching: list[Endpoint]


ORDERS: dict[str, Callable[[Endpoint], tuple[int, ...]]] = {
    "count": lambda endpoint: (endpoint.count,),
    "last": lambda endpoint: (endpoint.last, endpoint.seen),
    "first": lambda endpoint: (endpoint.first, endpoint.number),
}


class Inventory:
    """Hosts and endpoints; everything that untrusted clients can add is bounded.

    Args:
        concerns: Returns the concerns about an entry.

    Attributes:
        total: How many entries were added.
        beyond: How many of them belong to endpoints that arrived after `MAX_ENDPOINTS` or `MAX_HOSTS` was reached.
    """

    def __init__(self, concerns: Concerns = concerns.concerns) -> None:
        self.total = 0
        self.beyond = 0
        self._concerns = concerns
        self._endpoints: dict[tuple[str, str, str], Endpoint] = {}
        self._ordered: list[Endpoint] = []
        self._numbered: list[Endpoint] = []
        self._fields: list[int] = []
        self._hosts: set[str] = set()
        self._samples = Samples()
        self._room = Room(MAX_NAMES, MAX_VALUES)

    def add(self, entry: Mapping[str, Any], raised: Iterable[Concern] | None = None) -> None:
        """Merge one entry; nothing is raised, whatever it contains.

        Args:
            entry: The entry.
            raised: Its concerns, if they are known already.
        """
        self.total += 1
        headers = read_headers(entry.get("requestHeaders"))
        endpoint = self._endpoint(*key_of(entry, headers))
        if endpoint is None:
            self.beyond += 1
            return
        self._count(endpoint, entry)
        self._read(endpoint, entry, headers)
        # Each kind counts once for an entry.
        first: dict[str, str] = {}
        for kind, sentence in self._concerns(entry) if raised is None else raised:
            first.setdefault(kind, sentence)
        for kind, sentence in first.items():
            self._raise(endpoint, kind, sentence)
        self._samples.keep(endpoint, self.total, entry)

    def search(  # noqa: PLR0913 - each is a condition of its own, given by name
        self,
        words: str | Filter = "",
        *,
        host: str = "",
        order: str = "path",
        start: int = 0,
        limit: int = 200,
        now: float = 0.0,
    ) -> Found:
        """Find the endpoints that match a filter.

        Args:
            words: The filter, as it is typed (see `filters.parse`).
            host: The host to which the endpoints are restricted; the list of hosts is not. Empty: all.
            order: A name of `ORDERS`: the most entries, the latest or the newest first; anything else: by host, path
                and method.
            start: How many of the matching endpoints to skip.
            limit: How many endpoints to return, at most `MAX_PAGE`.
            now: The time in epoch seconds, for the conditions `new` and `seen`.
        """
        wanted = parse(words) if isinstance(words, str) else words
        matching = wanted.select(self._ordered, now)
        shown = [endpoint for endpoint in matching if endpoint.host == host] if host else matching
        if order in ORDERS:
            shown = sorted(shown, key=ORDERS[order], reverse=True)
        page = shown[start : start + min(limit, MAX_PAGE)]
        return Found(len(matching), _by_host(matching), len(shown), page, shown)

    def endpoint(self, number: int) -> Endpoint | None:
        """Return the endpoint with this number, if there is one."""
        return self._numbered[number] if 0 <= number < len(self._numbered) else None

    def endpoints(self, host: str = "") -> list[Endpoint]:
        """Return all endpoints, or those of a host, by host, path and method."""
        return [endpoint for endpoint in self._ordered if not host or endpoint.host == host]

    def samples(self, endpoint: Endpoint) -> list[dict[str, str]]:
        """Return the latest entries of an endpoint that are still kept, the newest first."""
        return self._samples.of(endpoint)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many endpoints and hosts there are."""
        return len(self._numbered), len(self._hosts)

    def _endpoint(self, host: str, method: str, path: str) -> Endpoint | None:
        key = (host, method, path)
        known = self._endpoints.get(key)
        if known is not None:
            return known
        if len(self._numbered) >= MAX_ENDPOINTS or (host not in self._hosts and len(self._hosts) >= MAX_HOSTS):
            return None
        endpoint = Endpoint(len(self._numbered), host, method, path, text=f"{host} {method} {path}".lower())
        self._endpoints[key] = endpoint
        self._numbered.append(endpoint)
        self._fields.append(0)
        self._hosts.add(host)
        insort(self._ordered, endpoint)
        return endpoint

    def _count(self, endpoint: Endpoint, entry: Mapping[str, Any]) -> None:
        endpoint.count += 1
        endpoint.left_out += left_out_of(entry)
        endpoint.seen = self.total
        if time := seconds_of(entry):
            endpoint.first = min(endpoint.first or time, time)
            endpoint.last = max(endpoint.last, time)
        self._tally(endpoint, endpoint.statuses, status_of(entry), MAX_STATUSES)

    def _read(self, endpoint: Endpoint, entry: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        path, query = target_of(entry)
        answered = read_headers(entry.get("responseHeaders"))
        sent_type, answered_type = headers.get("content-type", ""), answered.get("content-type", "")
        request = read_payload(text_of(entry, "requestPayload"), sent_type)
        response = read_payload(text_of(entry, "responsePayload"), answered_type)
        pairs = by_name(parse_pairs(query)) if query else {}
        kind = kinds.recognise(text_of(entry, "type"), headers, request, pairs)
        if kind.mark:
            self._tally(endpoint, endpoint.marks, kind.mark, MAX_OPERATIONS)
        for operation in kind.operations:
            self._tally(endpoint, endpoint.operations, operation, MAX_OPERATIONS)
        ways = auth.recognise(headers, pairs)
        self._authenticate(endpoint, ways)
        keys = {way.name for way in ways if way.place == "query"}
        plain = {name: pairs[name] for name in pairs if name not in keys} if keys else pairs
        status = status_of(entry) or "none"
        own = parameters(answered, ("set-cookie",)).items()
        parts = [
            *self._learn_ids(endpoint, path),
            *self._learn(endpoint, "Query", endpoint.query, plain),
            *self._learn(
                endpoint, "Request headers", endpoint.headers, parameters(headers, (way.name for way in ways))
            ),
            *self._merge(endpoint, "", sent_type, request),
            *self._merge(endpoint, status, answered_type, response),
            Part("Response headers", [(name[:MAX_NAME_CHARS], text) for name, text in own]),
        ]
        parts += _unread("Request", text_of(entry, "requestPayload"), request)
        parts += _unread(f"Response {status}", text_of(entry, "responsePayload"), response)
        self._note_sensitive(endpoint, parts)

    def _authenticate(self, endpoint: Endpoint, found: tuple[auth.Auth, ...]) -> None:
        if found in endpoint.auth:
            endpoint.auth[found] += 1
        elif len(endpoint.auth) < MAX_STATUSES and all(self._may_name(endpoint, way.name) for way in found):
            endpoint.auth[found] = 1

    def _note_sensitive(self, endpoint: Endpoint, parts: list[Part]) -> None:
        for found in sensitive.find(parts):
            if found in endpoint.sensitive:
                endpoint.sensitive[found] += 1
            elif len(endpoint.sensitive) < MAX_SENSITIVE and self._may_name(endpoint, found.kind):
                endpoint.sensitive[found] = 1

    def _learn_ids(self, endpoint: Endpoint, path: str) -> list[Part]:
        ids = ids_of(path)
        while len(endpoint.ids) < len(ids):
            endpoint.ids.append(Shape("{id}"))
        found: list[Part] = []
        for shape, text in zip(endpoint.ids, ids, strict=False):
            found += self._learn(endpoint, "Path", shape, Text(text))
        return found

    def _learn(self, endpoint: Endpoint, place: str, shape: Shape, *values: Any) -> list[Part]:
        """Merge values, and return those that are strings or long numbers."""

        def may_name(name: str) -> bool:
            if self._fields[endpoint.number] >= MAX_FIELDS:
                return False
            self._fields[endpoint.number] += 1
            endpoint.text += " " + name.lower()
            return True

        learner = Learner(self._room, may_name)
        for value in values:
            learner.learn(shape, value)
        return [Part(place, learner.texts)] if learner.texts else []

    def _merge(self, endpoint: Endpoint, status: str, content_type: str, payload: Payload) -> list[Part]:
        if not payload.form:
            return []
        media = media_type(content_type) or FORM_MEDIA.get(payload.form, "")
        body = endpoint.bodies.get((status, media))
        if body is None:
            if len(endpoint.bodies) >= MAX_BODIES or not self._may_name(endpoint, media):
                return []
            body = endpoint.bodies[status, media] = Body(payload.form)
        if payload.values and body.form != payload.form:
            body.form = payload.form
        body.count += 1
        return self._learn(endpoint, f"Response {status}" if status else "Request", body.shape, *payload.values)

    def _raise(self, endpoint: Endpoint, kind: str, sentence: str) -> None:
        known = endpoint.concerns.get(kind)
        if known is None:
            if len(endpoint.concerns) >= MAX_STATUSES or not self._may_name(endpoint, kind):
                return
            known = endpoint.concerns[kind] = Raised()
        known.count += 1
        known.sentence = clean(sentence)[:MAX_SENTENCE_CHARS]

    def _tally(self, endpoint: Endpoint, counts: dict[str, int], name: str, most: int) -> None:
        if name in counts:
            counts[name] += 1
        elif len(counts) < most and self._may_name(endpoint, name):
            counts[name] = 1

    def _may_name(self, endpoint: Endpoint, name: str) -> bool:
        """Make a new operation, status, media type or mark searchable, if there is room for it."""
        if self._room.names <= 0:
            return False
        self._room.names -= 1
        endpoint.text += " " + name.lower()
        return True


def _unread(place: str, text: str, payload: Payload) -> list[Part]:
    """Return a text payload as a whole, if the values of its fields are not known."""
    return [Part(place, [("", text)])] if payload.form in ("text", "multipart") else []


def _by_host(endpoints: Iterable[Endpoint]) -> list[tuple[str, int, int]]:
    hosts: dict[str, tuple[int, int]] = {}
    for endpoint in endpoints:
        number, count = hosts.get(endpoint.host, (0, 0))
        hosts[endpoint.host] = (number + 1, count + endpoint.count)
    return [(name, *numbers) for name, numbers in hosts.items()]
