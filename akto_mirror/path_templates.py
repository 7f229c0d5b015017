"""Replaces ids in paths, so that `/orders/17` and `/orders/18` are one endpoint (pure)."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

ID = "{id}"
REST = "…"
MAX_SEGMENTS = 32
MAX_SEGMENT_CHARS = 100

# RFC 9562, section 4; any version and variant.
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

# Each alternative is one kind of id and can match in one way only, so that long segments take linear time.
WHOLE = re.compile(
    r"""
      [+-]?\d+(?:,\d+)*                           # an integer, or a list of them
    | [0-9a-f]{16,}                               # a hash, a trace id, a UUID without hyphens
    | [0-7][0-9a-hjkmnp-tv-z]{25}                 # a ULID: 26 characters of Crockford's base 32
    | [a-z]{2,8}_(?=[a-z]*\d)[0-9a-z]{12,}        # a token with a prefix, such as cus_NffrFeUfNV2Hib
    | [^@/]+(?:@|%40)[^@/]+\.[^@/]+               # an e-mail address
    """,
    re.IGNORECASE | re.VERBOSE,
)
EXTENSION = re.compile(r"(.+)(\.[a-z]{2,5})", re.IGNORECASE)
TOKEN = re.compile(r"[\w.~+=:%-]+", re.ASCII)


def fold_path(path: str) -> str:
    """Return a path with `{id}` in place of segments that look like ids.

    Segments after the first `MAX_SEGMENTS` become one `…`.

    Args:
        path: A path without its query string.
    """
    segments = path.split("/", MAX_SEGMENTS + 1)
    if len(segments) > MAX_SEGMENTS:
        segments[MAX_SEGMENTS:] = [REST]
    return "/".join([segment if segment.isalpha() and len(segment) < 16 else fold(segment) for segment in segments])


def fold(segment: str) -> str:
    """Return `{id}` for a segment that looks like an id, keeping a file extension, and any other segment unchanged.

    Ids are integers, UUIDs, hexadecimal strings of 16 digits or more, ULIDs, e-mail addresses, long tokens with many
    digits, and everything of more than `MAX_SEGMENT_CHARS` characters.
    """
    return ID if len(segment) > MAX_SEGMENT_CHARS else _fold(segment)


def ids_of(path: str) -> list[str]:
    """Return the segments that `fold_path` replaces by `{id}`, decoded, in order.

    Args:
        path: A path without its query string.
    """
    segments = path.split("/", MAX_SEGMENTS + 1)
    if len(segments) > MAX_SEGMENTS:
        segments[MAX_SEGMENTS:] = []
    return [
        unquote(text)
        for segment in segments
        if not (segment.isalpha() and len(segment) < 16) and ID in (template := fold(segment))
        for text in _ids(segment, template)
    ]


def _ids(segment: str, template: str) -> list[str]:
    if template.count(ID) > 1:
        return UUID.findall(segment)
    before, _, after = template.partition(ID)
    return [segment[len(before) : len(segment) - len(after)]]


@lru_cache(maxsize=16384)
def _fold(segment: str) -> str:
    without = UUID.sub(ID, segment)
    if without != segment:
        return without
    if (file := EXTENSION.fullmatch(segment)) and _is_id(file[1]):
        return ID + file[2]
    return ID if _is_id(segment) else segment


def _is_id(text: str) -> bool:
    return WHOLE.fullmatch(text) is not None or _is_token(text)


def _is_token(text: str) -> bool:
    """Return whether a segment is a random token, a date or a number, judging by its share of digits."""
    if len(text) < 8 or not TOKEN.fullmatch(text):
        return False
    digits = sum(map(str.isdigit, text))
    return 2 * digits >= len(text) or (len(text) >= 16 and digits >= 3 and 8 * digits >= len(text))
