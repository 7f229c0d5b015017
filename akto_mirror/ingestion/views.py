"""The inventory as JSON for its page: a window of search results, an endpoint, a sample (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from akto_mirror.ingestion.entries.auth import Auth
from akto_mirror.ingestion.entries.curl import curl
from akto_mirror.ingestion.entries.endpoints import Body, Endpoint
from akto_mirror.ingestion.entries.fields import read_payload
from akto_mirror.ingestion.entries.reading import read_headers
from akto_mirror.ingestion.entries.shapes import Shape, choices, rows, type_names
from akto_mirror.ingestion.filters import facets, parse
from akto_mirror.ingestion.inventory import MAX_FIELDS, MAX_OPERATIONS, MAX_PAGE, ORDERS, Inventory

MAX_HOSTS_SHOWN = 200


def listing(  # noqa: PLR0913 - each is a part of what the page asks for, given by name
    inventory: Inventory,
    *,
    words: str = "",
    host: str = "",
    order: str = "path",
    start: int = 0,
    limit: int = MAX_PAGE,
    now: float = 0.0,
) -> dict[str, Any]:
    """Return a window of the lines of a search, and the totals, for JSON.

    A line is an endpoint or, in the order of paths, the name of a host above its endpoints.

    Args:
        inventory: The inventory to search.
        words: The filter, as it was typed.
        host: The host to which the list is restricted; empty: all.
        order: As `Inventory.search` takes it.
        start: How many lines to skip.
        limit: How many lines to return.
        now: The time in epoch seconds.
    """
    wanted = parse(words)
    found = inventory.search(wanted, host=host, order=order, limit=0, now=now)
    endpoints, hosts = inventory.sizes
    shown_hosts = found.hosts if order not in ORDERS and not host else []
    window = list(islice(_window(found.matching, shown_hosts, start), min(limit, MAX_PAGE)))
    return {
        "entries": inventory.total,
        "endpoints": endpoints,
        "hosts": hosts,
        "beyond": inventory.beyond,
        "terms": [{"text": term.text, "mistake": term.mistake} for term in wanted.terms],
        "facets": facets(found.matching),
        "everywhere": found.everywhere,
        "hostsFound": len(found.hosts),
        "byHost": found.hosts[:MAX_HOSTS_SHOWN],
        "found": found.total,
        "lines": found.total + len(shown_hosts),
        "start": start,
        "groups": [line for line in window if "group" in line],
        "page": [line for line in window if "group" not in line],
    }


def _window(
    matching: Sequence[Endpoint], hosts: Iterable[tuple[str, int, int]], start: int
) -> Iterator[dict[str, Any]]:
    """Yield lines from number `start` on, each with its number."""
    line = first = 0
    for host, number, count in hosts:
        if line + number >= start:
            if line >= start:
                yield {"line": line, "group": host, "endpoints": number, "count": count}
            skipped = max(0, start - line - 1)
            for at, endpoint in enumerate(islice(matching, first + skipped, first + number), line + 1 + skipped):
                yield {"line": at, **summary(endpoint)}
        line += number + 1
        first += number
    if not line:
        for at, endpoint in enumerate(islice(matching, start, None), start):
            yield {"line": at, **summary(endpoint)}


def summary(endpoint: Endpoint) -> dict[str, Any]:
    """Return the data for an endpoint's row in the list, for JSON."""
    return {
        "id": endpoint.number,
        "host": endpoint.host,
        "method": endpoint.method,
        "path": endpoint.path,
        "count": endpoint.count,
        "leftOut": endpoint.left_out,
        "seen": endpoint.seen,
        "first": endpoint.first,
        "last": endpoint.last,
        "statuses": sorted(endpoint.statuses.items()),
        "marks": list(endpoint.marks),
        "auth": endpoint.auth_kinds,
        "concerns": list(endpoint.concerns),
        "sensitive": endpoint.sensitive_kinds,
        "operations": _most(endpoint.operations, 3),
        "more": max(0, len(endpoint.operations) - 3),
    }


def detail(endpoint: Endpoint, samples: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return all data about an endpoint, for JSON."""
    places = list(_places(endpoint))
    return summary(endpoint) | {
        "operations": _most(endpoint.operations, MAX_OPERATIONS),
        "ways": [[_ways(found), count] for found, count in endpoint.auth.items()],
        "raised": [[kind, raised.sentence, raised.count] for kind, raised in endpoint.concerns.items()],
        "found": [[*found, count] for found, count in endpoint.sensitive.items()],
        "places": places,
        "full": sum(len(place["fields"]) for place in places) >= MAX_FIELDS,
        "samples": [sample_detail(sample) for sample in samples],
    }


def _places(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    """Yield the places of parameters and fields: path, query, headers, and bodies by status and media type."""
    for title, shapes in (("Path", endpoint.ids), ("Query", [endpoint.query]), ("Request headers", [endpoint.headers])):
        if fields := [field for shape in shapes for field in _fields(shape, endpoint.count)]:
            yield {"title": title, "form": "", "media": "", "fields": fields}
    for (status, media), body in sorted(endpoint.bodies.items(), key=lambda item: item[0]):
        yield _body(f"Response {status}" if status else "Request", media, body)


def _body(title: str, media: str, body: Body) -> dict[str, Any]:
    fields = _fields(body.shape, body.count)
    return {"title": title, "form": body.form, "media": media, "count": body.count, "fields": fields}


def _fields(shape: Shape, of: int) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "types": type_names(row.types),
            "format": row.format or "",
            "choices": choices(row),
            "count": row.count,
            "of": possible,
        }
        for row, possible in rows(shape, of)
        if row.count and (row.name or not row.objects)
    ]


def _ways(found: tuple[Auth, ...]) -> list[str]:
    """Return ways of authentication as text: the kind and the place."""
    return [f"{auth.kind} in {auth.place} {auth.name}" for auth in found] or ["none"]


def sample_detail(sample: Mapping[str, str]) -> dict[str, Any]:
    """Return a sample, with the data about its gRPC messages and with a curl command, for JSON."""
    shown: dict[str, Any] = dict(sample)
    for place in ("request", "response"):
        headers = read_headers(sample[f"{place}Headers"])
        payload = read_payload(sample[f"{place}Payload"], headers.get("content-type", ""))
        shown[f"{place}Form"] = payload.form
        if payload.frames is not None:
            frames = payload.frames._asdict()
            shown[f"{place}Frames"] = {name: frames[name] for name in ("messages", "size", "compressed", "cut")}
    shown["curl"] = curl(sample)
    return shown


def _most(counted: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda item: -item[1])[:number]
