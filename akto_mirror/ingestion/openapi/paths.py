"""Turns folded paths into OpenAPI templates, with names for parameters and operations (pure)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from akto_mirror.path_templates import ID, REST

WORD = re.compile(r"[A-Za-z0-9]+")
# Characters that a path may contain unencoded (RFC 3986, section 3.3), and `%`.
SAFE = "/:@!$&'()*+,;=-._~%"


class Template(NamedTuple):
    """A path template.

    Attributes:
        text: Such as `/orders/{orderId}`.
        names: The parameters in it, in order; the last one may represent the rest of a long path.
    """

    text: str
    names: list[str]


def template(path: str) -> Template:
    """Return the template of a folded path: parameters are named after the segment before them."""
    names: list[str] = []
    parts: list[str] = []
    before = ""
    for segment in path.lstrip("/").split("/"):
        parts.append(_segment(segment, before, names))
        before = segment if ID not in segment else before
    return Template("/" + "/".join(parts), names)


def _segment(segment: str, before: str, names: list[str]) -> str:
    if segment == REST:
        return "{" + _unused("rest", names) + "}"
    pieces = segment.split(ID)
    made = quote(pieces[0], safe=SAFE)
    for piece in pieces[1:]:
        own = "".join(WORD.findall(pieces[0]))
        made += "{" + _unused(_name(own or before), names) + "}" + quote(piece, safe=SAFE)
    return made


def _name(segment: str) -> str:
    words: list[str] = WORD.findall(segment)
    if not words or words[0][0].isdigit():
        return "id"
    words[-1] = singular(words[-1])
    return words[0][0].lower() + words[0][1:] + "".join(word[0].upper() + word[1:] for word in words[1:]) + "Id"


def singular(word: str) -> str:
    """Return the singular of an English plural, judging by its ending."""
    lower = word.lower()
    if lower.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if lower.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if lower.endswith("s") and not lower.endswith(("ss", "us", "is")) and len(word) > 2:
        return word[:-1]
    return word


def _unused(name: str, names: list[str]) -> str:
    made, number = name, 2
    while made in names:
        made, number = f"{name}{number}", number + 1
    names.append(made)
    return made


def operation_id(method: str, path: str, used: set[str]) -> str:
    """Return a unique name for an operation, such as `getOrdersByOrderId`.

    Args:
        method: The request's.
        path: The template.
        used: The names that are taken; the new one is added.
    """
    words = [word for part in re.split(r"({[^}]*})", path) for word in _words(part)]
    name = "".join(WORD.findall(method)).lower() + "".join(words) or "call"
    made, number = name[:120], 2
    while made in used:
        made, number = f"{name[:120]}{number}", number + 1
    used.add(made)
    return made


def _words(part: str) -> list[str]:
    words = [word[0].upper() + word[1:] for word in WORD.findall(part)]
    return ["By", *words] if part.startswith("{") else words
