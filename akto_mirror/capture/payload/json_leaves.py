"""The leaves of JSON: strings, numbers and literals, with their positions in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec

from akto_mirror.capture.payload.json_tokens import BLANK, SCALAR, STRING
from akto_mirror.capture.payload.leaves import ROOT, Leaf, Place

ITEM = re.compile(
    rb'"(' + STRING + rb')("|\\)?(?:' + BLANK + rb"*(:)" + BLANK + rb"*(?:([\[{])"
    rb'|("' + STRING + rb'(?:"|\\)?)|(' + SCALAR + rb"))?)?"
    rb"|([\[{])|([\]}])|(" + SCALAR + rb")",
    re.DOTALL,
)


def leaves(data: bytes) -> Iterator[Leaf]:
    """Yield strings, numbers and literals in order, with their places, in one linear pass.

    Duplicate names are kept. Malformed and truncated text, and several values in a row, are read as far as possible.
    """
    place, holder, stack = ROOT, 0, list[tuple[Place, int]]()
    for item in ITEM.finditer(data):
        kind = item.lastindex
        if kind in (5, 6):
            yield Leaf(item.start(kind), item.end(kind), Place(_name(item[1]), place), holder)
        elif kind in (1, 2, 9):
            yield Leaf(item.start(), item.end(), place, holder)
        elif kind in (4, 7):
            stack.append((place, holder))
            place = Place(_name(item[1]), place) if kind == 4 else place
            holder = item.start(kind)
        elif kind == 8 and stack:
            place, holder = stack.pop()


def _name(raw: bytes) -> str:
    return text_of(b'"' + raw + b'"') if b"\\" in raw else raw.decode("utf-8", "replace")


_read = json.JSONDecoder(strict=False).decode


def text_of(raw: bytes) -> str:
    """Return the text of a leaf: a string decoded, or without its quotes if it is malformed; anything else as it is."""
    shown = raw.decode("utf-8", "replace")
    try:
        text = _read(shown)
    except ValueError:
        return shown.removeprefix('"').removesuffix('"')
    return text if isinstance(text, str) else shown


def quoted(text: str) -> bytes:
    """Return text as a JSON string."""
    return msgspec.json.encode(text.encode("utf-8", "replace").decode())
