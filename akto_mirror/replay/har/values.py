"""Converts values of a HAR file, which may have any type, to the expected types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

BREAKS = re.compile(r"[\r\n\0]+")


def mapping(given: Any) -> Mapping[str, Any]:
    """Return an object; an empty one for anything else."""
    return given if isinstance(given, dict) else {}


def content(given: Any) -> Mapping[str, Any]:
    """Return the object that contains a body; a bare string is the body itself."""
    return {"text": given} if isinstance(given, str) else mapping(given)


def text(given: Any) -> str:
    """Return a string as it is, an empty one for null, and the JSON of anything else."""
    if isinstance(given, str):
        return given
    return "" if given is None else json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def line(given: Any) -> str:
    """Return a string for one line of an HTTP message, without characters that would end the line."""
    return BREAKS.sub("", text(given)).strip()


def encoded(given: str) -> bytes:
    """Encode as UTF-8; half of a surrogate pair, which JSON can spell, becomes U+FFFD."""
    try:
        return given.encode()
    except UnicodeEncodeError:
        return given.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def size(given: Any) -> float:
    """Return a number of bytes; -1 if it is not known."""
    return given if isinstance(given, int | float) and given >= 0 else -1


def pairs(given: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Yield name, value and the whole object of each item.

    Most programs write objects; Slack writes lists of two items, and some programs write one object for all.
    """
    if isinstance(given, dict):
        given = [[name, value] for name, value in given.items()]
    for item in given if isinstance(given, list) else ():
        if isinstance(item, list):
            if len(item) == 2:
                yield text(item[0]), item[1], {}
        else:
            whole = mapping(item)
            yield text(whole.get("name")), whole.get("value"), whole
