"""Reads an OpenAPI document, perhaps written by hand, as operations that can be compared (pure, bounded).

Descriptions of version 3.0 and 3.1 are understood, with local references, `allOf`, `anyOf` and `oneOf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
# The places of parameters that are compared; path parameters are used to find the path.
PARAMETERS = ("query", "header", "cookie")
MAX_FIELDS = 20_000
MAX_DEPTH = 14

PARAMETER = re.compile(r"{[^{}/]*}")


@dataclass(slots=True)
class Field:
    """A parameter or a field of a body.

    Attributes:
        types: The names of JSON Schema's types; empty for any.
        format: As the schema has it; empty for none.
        choices: The enumeration's values as texts; empty for any.
        required: Whether it is always present if its parent is.
        open: Whether it may have any further fields.
    """

    types: set[str] = field(default_factory=set)
    format: str = ""
    choices: set[str] = field(default_factory=set)
    required: bool = False
    open: bool = False


@dataclass(slots=True)
class Operation:
    """One method of one path.

    Attributes:
        method: In upper case.
        path: As the document has it, with the path of its server.
        fields: By a place, such as `query` or `response 200`, and within it by name, such as `items[].name`.
        media: The media types of each place with a body.
        security: The kinds of the security schemes; empty if there is none.
        open: Whether it can be called without any of them.
    """

    method: str
    path: str
    fields: dict[str, dict[str, Field]] = field(default_factory=dict)
    media: dict[str, set[str]] = field(default_factory=dict)
    security: set[str] = field(default_factory=set)
    open: bool = True


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations of a document, in its order.

    Raises:
        ValueError: If it is not an OpenAPI document of version 3.
    """
    version = str(document.get("openapi", ""))
    if not version.startswith("3.") or not isinstance(document.get("paths"), dict):
        raise ValueError("not an OpenAPI document of version 3: it needs openapi: 3.x and paths")
    return list(_Reader(document).operations())


class _Reader:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._left = 0

    def operations(self) -> Iterator[Operation]:
        prefix = _prefix(self._document.get("servers"))
        for path, given in _mapping(self._document["paths"]).items():
            item = self._resolve(given)
            others = _mapping(item.get("x-other-methods"))
            for method, made in {**{name: item[name] for name in METHODS if name in item}, **others}.items():
                if isinstance(made, dict):
                    yield self._operation(str(method).upper(), f"{prefix}{path}", item, made)

    def _operation(self, method: str, path: str, item: Mapping[str, Any], given: Mapping[str, Any]) -> Operation:
        self._left = MAX_FIELDS
        made = Operation(method, path, {place: {} for place in PARAMETERS})
        parameters = [self._resolve(each) for each in [*_list(item.get("parameters")), *_list(given.get("parameters"))]]
        for parameter in parameters:
            self._parameter(made, parameter)
        self._body(made, "request", self._resolve(given.get("requestBody")))
        for status, response in _mapping(given.get("responses")).items():
            self._body(made, f"response {status}", self._resolve(response))
        self._security(made, _list(given.get("security", self._document.get("security"))))
        return made

    def _parameter(self, made: Operation, given: Mapping[str, Any]) -> None:
        place, name = str(given.get("in")), str(given.get("name"))
        if place == "path":
            return
        fields: dict[str, Field] = {}
        self._schema(fields, "", given.get("schema"), 0)
        # The elements of an array are the parameter's own values.
        own = fields.get("[]") or fields.get("") or Field()
        own.required = given.get("required") is True
        made.fields.setdefault(place, {})[name.lower() if place == "header" else name] = own

    def _body(self, made: Operation, place: str, given: Mapping[str, Any]) -> None:
        fields = made.fields.setdefault(place, {})
        for media, content in _mapping(given.get("content")).items():
            made.media.setdefault(place, set()).add(str(media).partition(";")[0].strip().lower())
            self._schema(fields, "", self._resolve(content).get("schema"), 0)

    def _security(self, made: Operation, given: list[Any]) -> None:
        schemes = _mapping(_mapping(self._document.get("components")).get("securitySchemes"))
        made.open = not given or {} in given
        for requirement in given:
            for name in _mapping(requirement):
                made.security.add(_kind(self._resolve(schemes.get(name))) or str(name))

    def _schema(self, fields: dict[str, Field], name: str, given: Any, depth: int, *, required: bool = False) -> None:
        """Add the fields of a schema and of its members."""
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            return
        schema = self._resolve(given)
        known = fields.setdefault(name, Field(required=required))
        known.types |= _types(schema)
        known.format = str(schema.get("format", known.format))
        known.choices |= {str(choice) for choice in islice(_list(schema.get("enum")), 200) if choice is not None}
        parts = [(part, key == "allOf") for key in ("allOf", "anyOf", "oneOf") for part in _list(schema.get(key))]
        for part, _ in parts:
            self._schema(fields, name, part, depth + 1, required=required)
        self._children(fields, name, schema, depth, alone=not parts)

    def _children(
        self, fields: dict[str, Field], name: str, schema: Mapping[str, Any], depth: int, *, alone: bool
    ) -> None:
        needed = {str(each) for each in _list(schema.get("required"))}
        properties = _mapping(schema.get("properties"))
        further = schema.get("additionalProperties")
        for key, member in properties.items():
            self._schema(fields, f"{name}.{key}" if name else str(key), member, depth + 1, required=key in needed)
        if isinstance(further, dict) and further:
            self._schema(fields, f"{name}.{{id}}" if name else "{id}", further, depth + 1)
        if "items" in schema:
            self._schema(fields, f"{name}[]", schema["items"], depth + 1)
        any_object = not properties and not further and "object" in fields[name].types
        any_value = not fields[name].types and not schema.get("enum")
        if alone and (further is True or any_object or any_value):
            fields[name].open = True

    def _resolve(self, given: Any) -> Mapping[str, Any]:
        """Follow local references; one that is dangling, external or circular is an empty schema."""
        for _ in range(10):
            reference = _mapping(given).get("$ref")
            if not isinstance(reference, str):
                return _mapping(given)
            given = self._at(reference)
        return {}

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            return {}
        found: Any = self._document
        for part in reference[2:].split("/"):
            found = _mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
        return found


def _types(schema: Mapping[str, Any]) -> set[str]:
    given = schema.get("type")
    names = {str(each) for each in (given if isinstance(given, list) else [given] if given else [])}
    return names | ({"null"} if schema.get("nullable") is True else set())


def _kind(scheme: Mapping[str, Any]) -> str:
    """Return a scheme by what is sent: `http bearer`, or a key's place and name."""
    if scheme.get("type") == "http":
        return f"http {str(scheme.get('scheme')).lower()}"
    if scheme.get("type") == "apiKey":
        return f"{scheme.get('in')} {str(scheme.get('name')).lower()}"
    # OAuth and OpenID Connect send their tokens so (RFC 6750).
    return "http bearer" if scheme.get("type") in ("oauth2", "openIdConnect") else ""


def _prefix(servers: Any) -> str:
    """Return the path of the first server, to which all paths are relative."""
    first: Any = next(iter(_list(servers)), {})
    url = str(_mapping(first).get("url", ""))
    path = urlsplit(PARAMETER.sub("x", url)).path if "//" in url else url
    return path.rstrip("/") if path.startswith("/") else ""


def shape_of(path: str) -> str:
    """Return a path without names of parameters: templates that differ only in names are equivalent."""
    return PARAMETER.sub("{}", path).rstrip("/") or "/"


def pattern_of(path: str) -> re.Pattern[str]:
    """Return a pattern that matches the paths of a template."""
    parts = PARAMETER.split(path.rstrip("/") or "/")
    return re.compile("[^/]+".join(map(re.escape, parts)))


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else {}


def _list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def ancestors(name: str) -> Iterable[str]:
    """Return the names of a place's ancestors, from the outermost one, which is empty."""
    yield ""
    for hit in re.finditer(r"\.|\[\]", name):
        if hit.start():
            yield name[: hit.start()]
        if hit[0] == "[]":
            yield name[: hit.end()]
