"""Examples out of samples: short, and without the values of what is named like a secret (pure)."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from akto_mirror.ingestion.entries.fields import decode_json, parse_pairs

MAX_CHARS = 16_384
MAX_TEXT_CHARS = 200
MAX_ITEMS = 2
MAX_MEMBERS = 60
MAX_DEPTH = 10

HIDDEN = "[hidden]"
SECRET = re.compile(
    r"pass(?:word|wd|phrase|code)|\bpwd\b|secret|token|api[_-]?key|private[_-]?key|authorization|credential|cookie"
    r"|session|signature|\bssn\b|\bcvv2?\b|\bcvc\b|\bpin\b|\biban\b|card[_-]?(?:no|num)|\botp\b|\bjwt\b",
    re.IGNORECASE,
)


def example(text: str, form: str) -> Any:
    """Return a payload as an example; None if it is too long, or nothing that can be shown."""
    if not text or len(text) > MAX_CHARS:
        return None
    if form == "json":
        try:
            return trimmed(decode_json(text))
        except ValueError:
            return None
    if form == "form":
        return {name: HIDDEN if is_secret(name) else value[:MAX_TEXT_CHARS] for name, value in parse_pairs(text)}
    return None


def trimmed(value: Any, depth: int = 0) -> Any:
    """Return a JSON value with long lists, objects and texts shortened, and the values of secrets hidden."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT_CHARS else value[: MAX_TEXT_CHARS - 1] + "…"
    if not isinstance(value, dict | list):
        return value
    if depth >= MAX_DEPTH:
        return type(value)()
    if isinstance(value, list):
        return [trimmed(item, depth + 1) for item in value[:MAX_ITEMS]]
    members = islice(value.items(), MAX_MEMBERS)
    return {name: HIDDEN if is_secret(name) else trimmed(item, depth + 1) for name, item in members}


def is_secret(name: str) -> bool:
    """Return whether a value should not be shown because of its name."""
    return SECRET.search(name) is not None
