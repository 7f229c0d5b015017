"""Headers in an entry: lower-case names in the Worker's order, each with one value, and bounded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain

import msgspec

HeaderFields = Sequence[tuple[bytes, bytes]]
HeaderMap = dict[str, str]

# The most characters of both header fields. Cloudflare, in front of the Worker, accepts 128 KB of request headers and
# as much of response headers.
MAX_HEADERS = 256 * 1024

# The most headers that are read, and their bytes; further ones cost nothing here.
MAX_HEADER_FIELDS = 2_000
MAX_HEADER_BYTES = MAX_HEADERS // 2

# The order of names is cached for up to this many headers, with names of up to this many bytes each, which bounds the
# memory that untrusted clients can use.
FEW = 40
SHORT = 64

_encoder = msgspec.json.Encoder()


def bounded(fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """Return headers up to `MAX_HEADER_FIELDS` and `MAX_HEADER_BYTES`; the same object if there are no more."""
    if len(fields) > MAX_HEADER_FIELDS:
        return bounded(fields[:MAX_HEADER_FIELDS])
    if sum(map(len, chain.from_iterable(fields))) <= MAX_HEADER_BYTES:
        return fields
    left, kept = MAX_HEADER_BYTES, []
    for name, value in fields:
        kept.append((name[:left], value[: max(0, left - len(name))]))
        left -= len(name) + len(value)
        if left <= 0:
            break
    return tuple(kept)


def header_map(fields: HeaderFields, *, all_cookies: bool) -> HeaderMap:
    """Return header names and values as the Worker's `Object.fromEntries(headers)` orders and joins them.

    Names are lower-case and sorted; bytes are read as UTF-8; values of one name are joined with `, `, but of several
    `set-cookie` only the last is kept unless `all_cookies`; then those of `cookie` are joined as RFC 9113, section
    8.2.3, puts together again what HTTP/2 clients send in pieces.
    """
    names = tuple([name for name, _ in fields])
    order = _known_order(names) if len(names) <= FEW and max(map(len, names), default=0) <= SHORT else None
    if order is not None:
        return {name: fields[place][1].decode("utf-8", "replace") for name, place in order}
    single: HeaderMap = {}
    several: dict[str, list[str]] = {}
    for raw_name, raw_value in fields:
        name = _lower(raw_name)
        value = raw_value.decode("utf-8", "replace")
        if name in single and (all_cookies or name != "set-cookie"):
            several.setdefault(name, [single[name]]).append(value)
        else:
            single[name] = value
    for name, values in several.items():
        single[name] = ("; " if all_cookies and name == "cookie" else ", ").join(values)
    return ordered(single)


def ordered(headers: HeaderMap) -> HeaderMap:
    """Sort headers as JavaScript lists an object's keys."""
    return {name: headers[name] for name in _in_order(headers)}


def _in_order(given: Iterable[str]) -> list[str]:
    names = sorted(given)
    first = bisect_left(names, "0")
    if first < len(names) and names[first] < ":":
        names.sort(key=_order)
    return names


@lru_cache(maxsize=512)
def _known_order(names: tuple[bytes, ...]) -> tuple[tuple[str, int], ...] | None:
    """Return names in the order of a header map, each with its position in the head; None if a name occurs twice."""
    places = {_lower(name): place for place, name in enumerate(names)}
    return tuple((name, places[name]) for name in _in_order(places)) if len(places) == len(names) else None


def _lower(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").lower()


def _order(name: str) -> tuple[int, str]:
    """Return a sort key: JavaScript lists integer-like keys first, by value (ECMAScript, OrdinaryOwnPropertyKeys)."""
    is_index = name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) <= 10
    return (int(name), "") if is_index and int(name) < 2**32 - 1 else (2**32, name)


def to_json(headers: HeaderMap) -> str:
    """Return compact JSON text with non-ASCII characters as they are, as `JSON.stringify` writes it."""
    return _encoder.encode(headers).decode("utf-8")


def shortened(text: str, room: int, longest: int) -> str:
    """Shorten headers in JSON: cut each name and value, and keep only the first ones.

    Args:
        text: as `to_json` returns it.
        room: the most characters of names and values; a shorter text is returned unchanged.
        longest: the most characters of one name or value.
    """
    if len(text) <= room:
        return text
    kept: HeaderMap = {}
    for name, value in msgspec.json.decode(text, type=HeaderMap).items():
        kept[name[:longest]] = value[:longest]
        room -= min(len(name), longest) + min(len(value), longest)
        if room < 0:
            break
    return to_json(kept)
