"""Builds an OpenAPI 3.1 document from the inventory (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from akto_mirror.ingestion.entries.endpoints import Body, Endpoint
from akto_mirror.ingestion.entries.reading import is_host
from akto_mirror.ingestion.entries.shapes import Shape, merge
from akto_mirror.ingestion.entries.urls import scheme_of
from akto_mirror.ingestion.openapi import examples, security
from akto_mirror.ingestion.openapi.paths import Template, operation_id, template
from akto_mirror.ingestion.openapi.schemas import body_schema, parameter_schema
from akto_mirror.path_templates import ID

# The methods that a path item may have (OpenAPI 3.1, 4.8.9); other methods are listed in an extension.
METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
OTHER_METHODS = "x-other-methods"
FORMS = {"json": "json", "form": "form"}

Samples = Callable[[Endpoint], Iterable[Mapping[str, str]]]


def build(endpoints: Iterable[Endpoint], samples: Samples | None = None) -> dict[str, Any]:
    """Return the document for endpoints; those with one path and method on several hosts are merged.

    Args:
        endpoints: The endpoints, in the order of the paths in the document.
        samples: Returns the kept samples of an endpoint, for examples; None: the document has no examples.
    """
    groups: dict[str, dict[str, list[Endpoint]]] = {}
    templates: dict[str, Template] = {}
    hosts: dict[str, None] = {}
    for endpoint in endpoints:
        made = template(endpoint.path)
        templates[made.text] = made
        groups.setdefault(made.text, {}).setdefault(endpoint.method.lower(), []).append(endpoint)
        hosts.setdefault(endpoint.host)
    return _document(groups, templates, list(hosts), samples)


def _document(
    groups: Mapping[str, Mapping[str, list[Endpoint]]],
    templates: Mapping[str, Template],
    hosts: list[str],
    samples: Samples | None,
) -> dict[str, Any]:
    used: set[str] = set()
    schemes: dict[str, dict[str, Any]] = {}
    paths: dict[str, dict[str, Any]] = {}
    for path, methods in groups.items():
        item: dict[str, Any] = {}
        for method, group in methods.items():
            operation = _operation(group, templates[path], used, samples)
            schemes |= {
                security.name_of(auth): security.scheme(auth) for each in group for ways in each.auth for auth in ways
            }
            if len(hosts) > 1 and (servers := _servers(each.host for each in group)):
                operation["servers"] = servers
            (item if method in METHODS else item.setdefault(OTHER_METHODS, {}))[method] = operation
        paths[path] = item
    named = [host for host in hosts if is_host(host)]
    made: dict[str, Any] = {"openapi": "3.1.0", "info": _info(named)}
    if servers := _servers(hosts):
        made["servers"] = servers
    made["paths"] = paths
    if schemes:
        made["components"] = {"securitySchemes": dict(sorted(schemes.items()))}
    return made


def _info(hosts: list[str]) -> dict[str, str]:
    title = hosts[0] if len(hosts) == 1 else "API inventory"
    return {"title": title, "version": "1", "description": "Inferred by akto-mirror from traffic."}


def _servers(hosts: Iterable[str]) -> list[dict[str, str]]:
    return [
        {"url": f"{scheme_of(host)}://{host}"} for host in dict.fromkeys(hosts) if is_host(host) and "/" not in host
    ]


def combined(group: list[Endpoint]) -> Endpoint:
    """Return the merged endpoints; the first one itself if it is the only one."""
    if len(group) == 1:
        return group[0]
    first = group[0]
    made = Endpoint(first.number, first.host, first.method, first.path)
    for each in group:
        made.count += each.count
        for mine, theirs in (
            (made.statuses, each.statuses),
            (made.marks, each.marks),
            (made.operations, each.operations),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for ways, count in each.auth.items():
            made.auth[ways] = made.auth.get(ways, 0) + count
        made.ids += [Shape(ID) for _ in each.ids[len(made.ids) :]]
        for shape, other in zip(
            [*made.ids, made.query, made.headers], [*each.ids, each.query, each.headers], strict=False
        ):
            merge(shape, other)
        for key, body in each.bodies.items():
            known = made.bodies.setdefault(key, Body(body.form))
            known.count += body.count
            merge(known.shape, body.shape)
    return made


def _operation(group: list[Endpoint], path: Template, used: set[str], samples: Samples | None) -> dict[str, Any]:
    endpoint = combined(group)
    kept = [sample for each in group for sample in samples(each)] if samples else []
    made: dict[str, Any] = {"operationId": operation_id(endpoint.method, path.text, used)}
    if endpoint.marks:
        made["tags"] = list(endpoint.marks)
    if endpoint.operations:
        made["x-operations"] = sorted(endpoint.operations)
        made["description"] = f"Operations seen: {', '.join(sorted(endpoint.operations)[:20])}"
    parameters = [
        *_path_parameters(endpoint, path),
        *_parameters("query", endpoint.query),
        *_parameters("header", endpoint.headers),
    ]
    if parameters:
        left_out = () if samples else ("example",)
        made["parameters"] = [{name: each[name] for name in each if name not in left_out} for each in parameters]
    if content := _content(endpoint, "", [(sample["requestPayload"], "") for sample in kept]):
        sent = sum(body.count for (status, _), body in endpoint.bodies.items() if not status)
        made["requestBody"] = {"content": content} | ({"required": True} if sent >= endpoint.count else {})
    made["responses"] = _responses(endpoint, [(sample["responsePayload"], sample["statusCode"][:3]) for sample in kept])
    if needed := security.requirements(endpoint.auth):
        made["security"] = needed
    return made


def _path_parameters(endpoint: Endpoint, path: Template) -> list[dict[str, Any]]:
    shapes = [*endpoint.ids, *[Shape()] * len(path.names)]
    return [
        {"name": name, "in": "path", "required": True, **_described(name, shape)}
        for name, shape in zip(path.names, shapes, strict=False)
    ]


def _parameters(place: str, shape: Shape) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": place,
            **({"required": True} if member.count == shape.objects else {}),
            **_described(name, member),
        }
        for name, member in (shape.members or {}).items()
        if name not in (ID, "") and member.count
    ]


def _described(name: str, shape: Shape) -> dict[str, Any]:
    made: dict[str, Any] = {"schema": parameter_schema(shape) if shape.types else {"type": "string"}}
    first = next(iter(shape.values or {}), None)
    if first and examples.is_shown(name, first) and made["schema"].get("type") in ("string", "integer"):
        made["example"] = int(first) if made["schema"]["type"] == "integer" else first
    return made


def _responses(endpoint: Endpoint, payloads: list[tuple[str, str]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for status in sorted(endpoint.statuses):
        code = (
            status if len(status) == 3 and status.isascii() and status.isdigit() and status[0] in "12345" else "default"
        )
        response: dict[str, Any] = {"description": _phrase(code)}
        if content := _content(endpoint, status or "none", payloads):
            response["content"] = content
        made.setdefault(code, response)
    return made or {"default": {"description": _phrase("default")}}


def _phrase(code: str) -> str:
    try:
        return HTTPStatus(int(code)).phrase
    except ValueError:
        return "Another status" if code == "default" else f"Status {code}"


def _content(endpoint: Endpoint, status: str, payloads: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the media types of requests, or of responses with a status.

    Args:
        endpoint: the endpoint that they belong to.
        status: Empty for requests.
        payloads: Payloads of samples, each with its status, for examples.
    """
    content: dict[str, Any] = {}
    for (of, media), body in endpoint.bodies.items():
        if of != status:
            continue
        made: dict[str, Any] = {"schema": body_schema(body)}
        texts = (text for text, code in payloads if (code or "none") == status or not status)
        shown = next((found for text in texts if (found := examples.example(text, body.form)) is not None), None)
        if shown is not None:
            made["example"] = shown
        content[media if "/" in media else "application/octet-stream"] = made
    return content
