"""The inventory: what hosts and endpoints the entries show, folded together as they arrive (pure, bounded)."""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from akto_mirror.ingestion import kinds
from akto_mirror.ingestion.fields import Payload, pair_fields, parse_pairs, read_payload
from akto_mirror.path_templates import fold_path

MAX_ENDPOINTS = 20_000
MAX_HOSTS = 1_000
MAX_FIELDS = 500  # of one endpoint in one place
MAX_OPERATIONS = 200  # of one endpoint
MAX_NAMES = 250_000  # of fields, operations, statuses and marks in all
MAX_STATUSES = 40  # of one endpoint
MAX_SAMPLES = 5  # of one endpoint
MAX_PATH_CHARS = 2_048
MAX_HOST_CHARS = 255
MAX_METHOD_CHARS = 32
MAX_SAMPLE_CHARS = 65_536  # of one text in a sample
MAX_ALL_SAMPLE_CHARS = 64 * 1024 * 1024
MAX_PAGE = 500
MAX_WORDS = 16  # of a search
MAX_WORD_CHARS = 100

PLACES = ("query", "request", "response")
SAMPLED = (
    "path",
    "time",
    "statusCode",
    "requestHeaders",
    "requestPayload",
    "responseHeaders",
    "responsePayload",
    "ip",
    "status",
)


@dataclass(slots=True)
class Field:
    """A parameter or a payload's field: the bits of its types, and in how many entries it was."""

    types: int = 0
    count: int = 0


@dataclass(slots=True, eq=False)
class Endpoint:
    """Everything that entries with one host, method and folded path came to.

    Attributes:
        number: Its number in order of appearance, from 0.
        seen: The number of the entry that changed it last.
        last: The latest time of its entries in epoch seconds; 0 if none told one.
    """

    number: int
    host: str
    method: str
    path: str
    count: int = 0
    seen: int = 0
    last: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    forms: dict[str, dict[str, int]] = field(default_factory=lambda: {place: {} for place in PLACES})
    fields: dict[str, dict[str, Field]] = field(default_factory=lambda: {place: {} for place in PLACES})
    samples: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))
    text: str = ""

    def __lt__(self, other: Endpoint) -> bool:
        return (self.host, self.path, self.method) < (other.host, other.path, other.method)


class Found(NamedTuple):
    """One page of a search.

    Attributes:
        everywhere: How many endpoints match on all hosts.
        hosts: Of each host with a match: its name, its matching endpoints and their entries.
        total: How many endpoints match on the chosen host.
        endpoints: Those on this page.
    """

    everywhere: int
    hosts: list[tuple[str, int, int]]
    total: int
    endpoints: list[Endpoint]


ORDERS: dict[str, Callable[[Endpoint], tuple[int, ...]]] = {
    "count": lambda endpoint: (endpoint.count,),
    "last": lambda endpoint: (endpoint.last, endpoint.seen),
}


class Inventory:
    """Hosts and endpoints, with a bound on everything that strangers can make it hold.

    Attributes:
        total: How many entries were added.
        beyond: How many of them belong to endpoints that came when `MAX_ENDPOINTS` or `MAX_HOSTS` was reached.
    """

    def __init__(self) -> None:
        self.total = 0
        self.beyond = 0
        self._endpoints: dict[tuple[str, str, str], Endpoint] = {}
        self._ordered: list[Endpoint] = []
        self._numbered: list[Endpoint] = []
        self._hosts: set[str] = set()
        self._samples: OrderedDict[int, dict[str, str]] = OrderedDict()
        self._sample_chars = 0
        self._names = 0

    def add(self, entry: Mapping[str, Any]) -> None:
        """Fold one entry in; whatever it holds, nothing is raised."""
        self.total += 1
        headers = read_headers(entry.get("requestHeaders"))
        path, _, query = _text(entry.get("path"))[:MAX_PATH_CHARS].partition("?")
        host = host_of(headers.get("host", ""), _text(entry.get("akto_vxlan_id")))
        endpoint = self._endpoint(host, _text(entry.get("method"))[:MAX_METHOD_CHARS].upper(), fold_path(path))
        if endpoint is None:
            self.beyond += 1
            return
        self._count(endpoint, entry)
        self._read(endpoint, entry, headers, query)
        self._keep_sample(endpoint, entry)

    def search(self, words: str = "", host: str = "", order: str = "path", start: int = 0, limit: int = 200) -> Found:
        """Find the endpoints that hold every word, in any case.

        Args:
            words: Words to look for in host, method, path, marks, operations, statuses and fields' names; the first
                `MAX_WORDS` different ones count, by their first `MAX_WORD_CHARS` characters.
            host: The host to which the endpoints are restricted; the list of hosts is not. Empty: all.
            order: A name of `ORDERS`: the most entries or the latest first; anything else: by host, path and method.
            start: How many of the matching endpoints are left out.
            limit: How many endpoints to return, at most `MAX_PAGE`.
        """
        wanted = _words(words)
        matching = [endpoint for endpoint in self._ordered if all(word in endpoint.text for word in wanted)]
        shown = [endpoint for endpoint in matching if endpoint.host == host] if host else matching
        if order in ORDERS:
            shown = sorted(shown, key=ORDERS[order], reverse=True)
        return Found(len(matching), _by_host(matching), len(shown), shown[start : start + min(limit, MAX_PAGE)])

    def endpoint(self, number: int) -> Endpoint | None:
        """Return the endpoint of that number, if there is one."""
        return self._numbered[number] if 0 <= number < len(self._numbered) else None

    def samples(self, endpoint: Endpoint) -> list[dict[str, str]]:
        """Return the latest entries of an endpoint that are still kept, the newest first."""
        kept = ((number, self._samples.get(number)) for number in reversed(endpoint.samples))
        return [{"number": str(number), **sample} for number, sample in kept if sample is not None]

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
        self._hosts.add(host)
        insort(self._ordered, endpoint)
        return endpoint

    def _count(self, endpoint: Endpoint, entry: Mapping[str, Any]) -> None:
        endpoint.count += 1
        endpoint.seen = self.total
        endpoint.last = max(endpoint.last, _seconds(entry.get("time")))
        self._tally(endpoint, endpoint.statuses, _text(entry.get("statusCode"))[:3], MAX_STATUSES)

    def _read(self, endpoint: Endpoint, entry: Mapping[str, Any], headers: Mapping[str, str], query: str) -> None:
        answered = read_headers(entry.get("responseHeaders"))
        request = read_payload(_text(entry.get("requestPayload")), headers.get("content-type", ""))
        response = read_payload(_text(entry.get("responsePayload")), answered.get("content-type", ""))
        pairs = parse_pairs(query) if query else []
        kind = kinds.recognise(_text(entry.get("type")), headers, request, dict(pairs))
        if kind.mark:
            self._tally(endpoint, endpoint.marks, kind.mark, MAX_OPERATIONS)
        for operation in kind.operations:
            self._tally(endpoint, endpoint.operations, operation, MAX_OPERATIONS)
        self._merge(endpoint, "query", Payload("", pair_fields(pairs)))
        self._merge(endpoint, "request", request)
        self._merge(endpoint, "response", response)

    def _merge(self, endpoint: Endpoint, place: str, payload: Payload) -> None:
        if payload.form:
            forms = endpoint.forms[place]
            forms[payload.form] = forms.get(payload.form, 0) + 1
        known = endpoint.fields[place]
        for name, types in payload.fields.items():
            if name not in known:
                if len(known) >= MAX_FIELDS or not self._may_name(endpoint, name):
                    continue
                known[name] = Field()
            known[name].types |= types
            known[name].count += 1

    def _tally(self, endpoint: Endpoint, counts: dict[str, int], name: str, most: int) -> None:
        if name in counts:
            counts[name] += 1
        elif len(counts) < most and self._may_name(endpoint, name):
            counts[name] = 1

    def _may_name(self, endpoint: Endpoint, name: str) -> bool:
        """Make a new name of a field, operation, status or mark searchable, if there is room for it."""
        if self._names >= MAX_NAMES:
            return False
        self._names += 1
        endpoint.text += " " + name.lower()
        return True

    def _keep_sample(self, endpoint: Endpoint, entry: Mapping[str, Any]) -> None:
        sample = {name: _text(entry.get(name))[:MAX_SAMPLE_CHARS] for name in SAMPLED}
        if len(endpoint.samples) == MAX_SAMPLES:
            self._forget(endpoint.samples[0])
        endpoint.samples.append(self.total)
        self._samples[self.total] = sample
        self._sample_chars += _chars(sample)
        while self._sample_chars > MAX_ALL_SAMPLE_CHARS:
            self._forget(next(iter(self._samples)))

    def _forget(self, number: int) -> None:
        sample = self._samples.pop(number, None)
        if sample is not None:
            self._sample_chars -= _chars(sample)


def read_headers(text: object) -> dict[str, str]:
    """Read headers as an entry holds them: JSON text; names are lower-cased, and what is no string is left out."""
    try:
        headers = msgspec.json.decode(text if isinstance(text, str) else "{}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    if not isinstance(headers, dict):
        return {}
    return {name.lower(): value for name, value in islice(headers.items(), 200) if isinstance(value, str)}


def host_of(host: str, vxlan_id: str) -> str:
    """Return what Akto names the API collection by: the host, or without one that has a letter, the vxlan id."""
    name = host.strip().lower()[:MAX_HOST_CHARS]
    return name if name != name.upper() else f"vxlan {vxlan_id[:MAX_HOST_CHARS] or 0}"


def _words(text: str) -> list[str]:
    different = dict.fromkeys(word[:MAX_WORD_CHARS] for word in text.lower().split())
    return list(islice(different, MAX_WORDS))


def _by_host(endpoints: Iterable[Endpoint]) -> list[tuple[str, int, int]]:
    hosts: dict[str, tuple[int, int]] = {}
    for endpoint in endpoints:
        number, count = hosts.get(endpoint.host, (0, 0))
        hosts[endpoint.host] = (number + 1, count + endpoint.count)
    return [(name, *numbers) for name, numbers in hosts.items()]


def _text(value: object) -> str:
    """Return a string that JSON can carry: lone surrogates are replaced, and anything else becomes empty."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _seconds(value: object) -> int:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0


def _chars(sample: Mapping[str, str]) -> int:
    return sum(map(len, sample.values()))
