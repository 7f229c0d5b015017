"""Forms (`application/x-www-form-urlencoded`): cuts them after a whole pair, and encodes each stray `%`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus, unquote_to_bytes

from akto_mirror.capture.payload.charsets import whole_characters
from akto_mirror.capture.payload.leaves import ROOT, Leaf, Place

PAIR = re.compile(rb"([^&=]*)(=?)([^&]*)&?")
HALF_ESCAPE = re.compile(rb"%[0-9A-Fa-f]?\Z")
BARE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2}){1,4}\Z")


def close(data: bytes, limit: int) -> bytes:
    """Cut a form between two pairs, or within the last value if its pair takes more than half of the limit.

    Args:
        data: the form, cut anywhere.
        limit: bytes that the result may have.
    """
    kept = readable(_cut(data, limit))
    return kept if len(kept) <= limit else _cut(kept, limit)


def readable(data: bytes) -> bytes:
    """Encode each `%` that begins no escape as `%25`, which means the same (WHATWG's URL standard, "percent-decode").

    Akto's runtime reads no parameter of a form with such a `%`.
    """
    return BARE_PERCENT.sub(b"%25", data) if b"%" in data and b"=" in data else data


def _cut(data: bytes, limit: int) -> bytes:
    head = data[:limit]
    last = head.rfind(b"&") + 1
    if last > limit // 2:
        return head[: last - 1]
    if b"=" not in head[last:]:
        return head[: max(last - 1, 0)]
    return head[: _value_cut(head)]


def _value_cut(head: bytes) -> int:
    """Return the position at which neither an escape nor a character, escaped or not, is cut."""
    half = HALF_ESCAPE.search(head, max(0, len(head) - 2))
    end = half.start() if half else len(head)
    escapes = ESCAPES.search(head, max(0, end - 12), end)
    if escapes is None:
        return whole_characters(head, end)
    plain = unquote_to_bytes(escapes[0])
    return end - 3 * (len(plain) - whole_characters(plain, len(plain)))


def leaves(data: bytes) -> Iterator[Leaf]:
    """Yield the encoded values with their decoded names; a name without `=` has no value."""
    for pair in PAIR.finditer(data):
        if pair[2]:
            name = unquote_plus(pair[1].decode("utf-8", "replace"))
            yield Leaf(pair.start(3), pair.end(3), Place(name, ROOT), 0)
