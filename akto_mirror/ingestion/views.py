"""The inventory as JSON for its page: a page of a search, one endpoint, one sample (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from akto_mirror.ingestion.fields import read_payload, type_names
from akto_mirror.ingestion.inventory import MAX_FIELDS, MAX_OPERATIONS, Endpoint, Found, Inventory, read_headers

MAX_HOSTS_SHOWN = 200


def listing(inventory: Inventory, found: Found) -> dict[str, Any]:
    """Return one page of a search and the totals beside it, for JSON."""
    endpoints, hosts = inventory.sizes
    return {
        "entries": inventory.total,
        "endpoints": endpoints,
        "hosts": hosts,
        "beyond": inventory.beyond,
        "everywhere": found.everywhere,
        "hostsFound": len(found.hosts),
        "byHost": found.hosts[:MAX_HOSTS_SHOWN],
        "found": found.total,
        "page": [summary(endpoint) for endpoint in found.endpoints],
    }


def summary(endpoint: Endpoint) -> dict[str, Any]:
    """Return what a row of the list tells of an endpoint, for JSON."""
    return {
        "id": endpoint.number,
        "host": endpoint.host,
        "method": endpoint.method,
        "path": endpoint.path,
        "count": endpoint.count,
        "seen": endpoint.seen,
        "last": endpoint.last,
        "statuses": sorted(endpoint.statuses.items()),
        "marks": list(endpoint.marks),
        "operations": _most(endpoint.operations, 3),
        "more": max(0, len(endpoint.operations) - 3),
    }


def detail(endpoint: Endpoint, samples: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return all that is known of an endpoint, for JSON."""
    fields = {
        place: [[name, type_names(seen.types), seen.count] for name, seen in known.items()]
        for place, known in endpoint.fields.items()
    }
    return summary(endpoint) | {
        "operations": _most(endpoint.operations, MAX_OPERATIONS),
        "forms": {place: _most(forms, 5) for place, forms in endpoint.forms.items()},
        "fields": fields,
        "full": [place for place, known in endpoint.fields.items() if len(known) >= MAX_FIELDS],
        "samples": [sample_detail(sample) for sample in samples],
    }


def sample_detail(sample: Mapping[str, str]) -> dict[str, Any]:
    """Return a sample with what is known of its gRPC messages, for JSON."""
    told: dict[str, Any] = dict(sample)
    for place in ("request", "response"):
        headers = read_headers(sample[f"{place}Headers"])
        payload = read_payload(sample[f"{place}Payload"], headers.get("content-type", ""))
        told[f"{place}Form"] = payload.form
        if payload.frames is not None:
            frames = payload.frames._asdict()
            told[f"{place}Frames"] = {name: frames[name] for name in ("messages", "size", "compressed", "cut")}
    return told


def _most(counted: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda item: -item[1])[:number]
