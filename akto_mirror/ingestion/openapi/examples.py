"""Makes examples from samples: shortened, and without sensitive values (pure)."""

from __future__ import annotations

from itertools import islice
from typing import Any

from akto_mirror.ingestion.entries import sensitive
from akto_mirror.ingestion.entries.fields import decode_json, parse_pairs

MAX_CHARS = 16_384
MAX_TEXT_CHARS = 200
MAX_ITEMS = 2
MAX_MEMBERS = 60
MAX_DEPTH = 10

HIDDEN = "[hidden]"


def example(text: str, form: str) -> Any:
    """Return a payload as an example; None if it is too long or cannot be shown."""
    if not text or len(text) > MAX_CHARS:
        return None
    if form == "json":
        try:
            return trimmed(decode_json(text))
        except ValueError:
            return None
    if form == "form":
        return {name: value[:MAX_TEXT_CHARS] if is_shown(name, value) else HIDDEN for name, value in parse_pairs(text)}
    return None


def trimmed(value: Any, depth: int = 0) -> Any:
    """Return a JSON value with long lists, objects and texts shortened, and sensitive values hidden."""
    if isinstance(value, str | int) and sensitive.kinds_of(str(value)):
        return HIDDEN
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT_CHARS else value[: MAX_TEXT_CHARS - 1] + "…"
    if not isinstance(value, dict | list):
        return value
    if depth >= MAX_DEPTH:
        return type(value)()
    if isinstance(value, list):
        return [trimmed(item, depth + 1) for item in value[:MAX_ITEMS]]
    members = islice(value.items(), MAX_MEMBERS)
    return {name: HIDDEN if sensitive.is_secret(name) else trimmed(item, depth + 1) for name, item in members}


def is_shown(name: str, text: str) -> bool:
    """Return whether a value may be shown, judging by its name and its form."""
    return not sensitive.is_secret(name) and not sensitive.kinds_of(text)
