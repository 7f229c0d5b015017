"""Reads the header fields of a HAR file's messages."""

from __future__ import annotations

import re
from typing import Any

from akto_mirror.replay.har import values

Fields = list[tuple[bytes, bytes]]

LINES = re.compile(r"[\r\n]+")
FOLD = re.compile(r"[\r\n]+[ \t]+")

# The placeholder that programs write for an unknown type.
UNKNOWN_TYPES = ("x-unknown", "application/x-unknown")


def read(given: Any) -> tuple[Fields, dict[bytes, bytes]]:
    """Return the header fields, and separately the pseudo-headers of HTTP/2 and 3 that programs list among them."""
    fields: Fields = []
    pseudo: dict[bytes, bytes] = {}
    for name, value, _ in values.pairs(given):
        clean = values.encoded(values.line(name))
        if clean.startswith(b":"):
            pseudo[clean] = values.encoded(values.line(value))
        elif clean:
            fields.extend((clean, values.encoded(each)) for each in _lines(values.text(value)))
    return fields, pseudo


def _lines(value: str) -> list[str]:
    """Split values of one name that Chrome's protocol joins by line breaks, which values cannot contain."""
    parts = LINES.split(FOLD.sub(" ", value.replace("\0", "")))
    return [part for part in parts if part] or [""]


def first(fields: Fields, name: bytes) -> str:
    """Return the first value of a name in lower case, empty if there is none."""
    return next((value.decode("utf-8", "replace") for each, value in fields if each.lower() == name), "")


def add_type(fields: Fields, mime: Any) -> None:
    """Add a content type that is only in the body's description."""
    kind = values.line(mime)
    if kind and kind.lower() not in UNKNOWN_TYPES and not first(fields, b"content-type"):
        fields.append((b"content-type", values.encoded(kind)))


def set_type(fields: Fields, kind: str) -> None:
    """Replace the content type."""
    fields[:] = [field for field in fields if field[0].lower() != b"content-type"]
    fields.append((b"content-type", values.encoded(kind)))
