"""Compares two samples of one endpoint, field by field (pure, bounded)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from akto_mirror.ingestion.entries.fields import Payload, by_name, parse_pairs, read_payload
from akto_mirror.ingestion.entries.reading import read_headers
from akto_mirror.ingestion.entries.shapes import Typed, join, type_names

MAX_VALUES = 2_000
MAX_DIFFERENCES = 500
MAX_TEXT_CHARS = 400
MAX_LINES = 400
MAX_DEPTH = 20

Values = dict[str, str]


class Difference(NamedTuple):
    """One value that differs.

    Attributes:
        place: Where it is, such as `response`.
        name: The field's name; empty for the place as a whole.
        before: The older value as text; None if it is missing.
        after: The newer one.
    """

    place: str
    name: str
    before: str | None
    after: str | None


def compare(older: Mapping[str, str], newer: Mapping[str, str]) -> list[Difference]:
    """Return the differences between two samples, those of the requests first."""
    return list(islice(_all(older, newer), MAX_DIFFERENCES))


def _all(older: Mapping[str, str], newer: Mapping[str, str]) -> Iterator[Difference]:
    (path, _, query), (new_path, _, new_query) = (each["path"].partition("?") for each in (older, newer))
    yield from _fields("path", {"": path}, {"": new_path})
    yield from _fields("query", flat(by_name(parse_pairs(query))), flat(by_name(parse_pairs(new_query))))
    yield from _message("request", older, newer)
    yield from _fields("status", {"": older["statusCode"]}, {"": newer["statusCode"]})
    yield from _message("response", older, newer)


def _message(side: str, older: Mapping[str, str], newer: Mapping[str, str]) -> Iterator[Difference]:
    headers, new_headers = (read_headers(each[f"{side}Headers"]) for each in (older, newer))
    yield from _fields(f"{side} headers", dict(headers), dict(new_headers))
    text, new_text = older[f"{side}Payload"], newer[f"{side}Payload"]
    if text == new_text:
        return
    payload = read_payload(text, headers.get("content-type", ""))
    new_payload = read_payload(new_text, new_headers.get("content-type", ""))
    if _comparable(payload) and _comparable(new_payload):
        yield from _fields(side, _values(payload), _values(new_payload))
    else:
        yield from _lines(side, text, new_text)


def _comparable(payload: Payload) -> bool:
    """Return whether a payload's values are known, and not only their types."""
    return payload.form == "" or (bool(payload.values) and payload.form in ("json", "events", "form", "xml"))


def _values(payload: Payload) -> Values:
    if len(payload.values) == 1:
        return flat(payload.values[0])
    return flat(list(payload.values)) if payload.values else {}


def _fields(place: str, before: Values, after: Values) -> Iterator[Difference]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield Difference(place, name, _short(before.get(name)), _short(after.get(name)))


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…"


def _lines(place: str, before: str, after: str) -> Iterator[Difference]:
    """Compare texts line by line; of long ones, their beginnings."""
    old, new = (text.splitlines()[:MAX_LINES] for text in (before, after))
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Difference(place, f"line {start + 1}", _block(old[start:end]), _block(new[new_start:new_end]))


def _block(lines: list[str]) -> str | None:
    return _short("\n".join(lines)) if lines else None


def flat(value: Any) -> Values:
    """Return the scalars of a value by their names, elements of arrays with their numbers: `items[0].name`."""
    found: Values = {}
    _flatten(found, "", value, 0)
    return found


def _flatten(found: Values, name: str, value: Any, depth: int) -> None:
    if len(found) >= MAX_VALUES:
        return
    if isinstance(value, dict) and value and depth < MAX_DEPTH:
        for key, item in value.items():
            _flatten(found, join(name, key), item, depth + 1)
    elif isinstance(value, list) and value and depth < MAX_DEPTH:
        for number, item in enumerate(value):
            _flatten(found, f"{name}[{number}]", item, depth + 1)
    elif isinstance(value, Typed):
        found[name] = "|".join(type_names(value))
    else:
        found[name] = str(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
