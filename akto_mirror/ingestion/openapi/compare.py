"""Compares an OpenAPI document made from traffic with an older one (pure).

Traffic is only a sample, so an optional element that was not seen is not reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from akto_mirror.ingestion.openapi.operations import (
    PARAMETERS,
    Field,
    Operation,
    ancestors,
    operations,
    pattern_of,
    shape_of,
)

NEW, CHANGED, GONE = "new", "changed", "gone"


@dataclass(frozen=True)
class Change:
    """One operation that is new, changed or gone.

    Attributes:
        kind: `NEW`, `CHANGED` or `GONE`.
        method: In upper case.
        path: The path in the newer document, unless it is gone.
        details: What has changed, a line each; they may quote hostile data.
    """

    kind: str
    method: str
    path: str
    details: tuple[str, ...] = ()


def compare(base: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Change]:
    """Return the changes in the order of the newer document, followed by operations that are gone.

    Raises:
        ValueError: If one of them is not an OpenAPI document of version 3.
    """
    known, now = _Known(operations(base)), operations(seen)
    changes: list[Change] = []
    for operation in now:
        old = known.find(operation)
        if old is None:
            changes.append(Change(NEW, operation.method, operation.path))
        elif details := tuple(dict.fromkeys(_details(old, operation))):
            changes.append(Change(CHANGED, operation.method, operation.path, details))
    changes += [Change(GONE, each.method, each.path) for each in known.unfound()]
    return changes


class _Known:
    """The operations of the older document, and which of them have been found in the newer one."""

    def __init__(self, all_: list[Operation]) -> None:
        self._all = all_
        self._exact = {(each.method, shape_of(each.path)): each for each in reversed(all_)}
        self._patterns = [(each, pattern_of(each.path)) for each in all_ if "{" in each.path]
        self._found: set[int] = set()

    def find(self, operation: Operation) -> Operation | None:
        """Return the operation with the same path except for parameters' names, else one whose template matches."""
        found = self._exact.get((operation.method, shape_of(operation.path))) or self._matching(operation)
        if found is not None:
            self._found.add(id(found))
        return found

    def unfound(self) -> Iterator[Operation]:
        """Yield the operations that were not found in the newer document."""
        return (each for each in self._all if id(each) not in self._found)

    def _matching(self, operation: Operation) -> Operation | None:
        path = operation.path.rstrip("/") or "/"
        of_method = ((each, pattern) for each, pattern in self._patterns if each.method == operation.method)
        return next((each for each, pattern in of_method if pattern.fullmatch(path)), None)


def _details(old: Operation, now: Operation) -> Iterator[str]:
    for place, fields in now.fields.items():
        known = _known_place(old, place)
        if known is None:
            yield f"new {place}" if place.startswith("response") else f"{place}: {_names(fields)} are new"
            continue
        yield from _media(old, now, place, known)
        yield from _fields(old.fields[known], fields, place)
    yield from _security(old, now)


def _known_place(old: Operation, place: str) -> str | None:
    """Return the place that documents this one; a status may also be documented by a range or the default."""
    if not place.startswith("response "):
        old.fields.setdefault(place, {})
        return place
    code = place.removeprefix("response ")
    ways = (place, f"response {code[:1]}XX", f"response {code[:1]}xx", "response default")
    return next((way for way in ways if way in old.fields), None)


def _names(fields: Mapping[str, Field]) -> str:
    return ", ".join(name for name in fields if name) or "fields"


def _media(old: Operation, now: Operation, place: str, known: str) -> Iterator[str]:
    for media in sorted(now.media.get(place, set()) - old.media.get(known, set())):
        if "*/*" not in old.media.get(known, set()):
            yield f"{place}: new content type {media}"


def _fields(old: Mapping[str, Field], now: Mapping[str, Field], place: str) -> Iterator[str]:
    for name, field in now.items():
        shown = name or "the whole"
        if name in old:
            yield from (f"{place}: {shown} {what}" for what in _differences(old[name], field))
        elif not any(each in old and old[each].open for each in ancestors(name)) and not _within_new(name, old, now):
            yield f"{place}: new {_noun(place)} {shown} ({_types(field)})"
    for name, field in old.items():
        if field.required and name not in now and (place in PARAMETERS or _holder_seen(name, now)):
            yield f"{place}: {name}, which was always present, is gone"


def _within_new(name: str, old: Mapping[str, Field], now: Mapping[str, Field]) -> bool:
    """Return whether a field is within a new one, which is reported already."""
    return any(each and each in now and each not in old for each in ancestors(name))


def _holder_seen(name: str, now: Mapping[str, Field]) -> bool:
    *_, holder = ancestors(name)
    return holder in now if holder or "" in now else bool(now)


def _differences(old: Field, now: Field) -> Iterator[str]:
    if old.types and not old.open and (more := _beyond(now.types, old.types)):
        yield f"is also {' or '.join(more)}, was {_types(old)}"
    if old.format and now.format != old.format and "string" in now.types and not now.choices:
        yield f"has {'the format ' + now.format if now.format else 'no format'}, had {old.format}"
    if old.choices and (more := sorted(now.choices - old.choices)):
        yield f"has new values: {', '.join(more)}"
    if old.required and not now.required:
        yield "is no longer always present"


def _beyond(types: set[str], known: set[str]) -> list[str]:
    covered = known | ({"integer"} if "number" in known else set())
    return sorted(types - covered)


def _security(old: Operation, now: Operation) -> Iterator[str]:
    if now.open and not old.open:
        yield "can be called without authentication"
    for kind in sorted(now.security - old.security):
        yield f"new authentication: {kind}"


def _noun(place: str) -> str:
    return "parameter" if place in PARAMETERS else "field"


def _types(field: Field) -> str:
    return " | ".join(sorted(field.types)) or "any type"
