"""Redaction: secrets leave an entry before it is queued.

Payloads are searched as text, not parsed: they may be cut off in the middle, be one JSON document a line, or sit in the
`data:` lines of an event stream, and what is not redacted must stay as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_plus

MASK = "[redacted]"
PRESET = "common"

COMMON_HEADERS = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-access-token",
        "x-amz-security-token",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-goog-api-key",
        "x-xsrf-token",
    }
)

COMMON_FIELDS = frozenset(
    {
        "access_token",
        "api_key",
        "apikey",
        "authorization",
        "card_number",
        "client_secret",
        "credit_card",
        "cvc",
        "cvv",
        "id_token",
        "otp",
        "passphrase",
        "passwd",
        "password",
        "private_key",
        "pwd",
        "refresh_token",
        "secret",
        "secret_key",
        "session_token",
        "ssn",
        "token",
    }
)

# Every expression is possessive or without choice, so that no text of a stranger makes it backtrack.
STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)', re.DOTALL)
COLON = re.compile(r"\s*+:\s*+")
SCALAR = re.compile(r"[^\s,}\]\"{\[]++")
NESTED = re.compile(r'[^"{}\[\]]++')
BOUNDARY = re.compile(r"(\r?\n--)")
BLANK_LINE = re.compile(r"\r?\n\r?\n")
PART_NAME = re.compile(r'\bname="?([^"\r\n;]*)')


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is to be hidden: lower-case names of headers, and of JSON keys, form fields and query parameters."""

    headers: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()


def header_names(given: Iterable[str]) -> frozenset[str]:
    """Return the header names of an option, `common` standing for `COMMON_HEADERS`."""
    return _names(given, COMMON_HEADERS)


def field_names(given: Iterable[str]) -> frozenset[str]:
    """Return the field names of an option, `common` standing for `COMMON_FIELDS`."""
    return _names(given, COMMON_FIELDS)


def _names(given: Iterable[str], common: frozenset[str]) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in given)
    return (names - {PRESET}) | common if PRESET in names else names


def headers(values: dict[str, str], redaction: Redaction) -> dict[str, str]:
    """Hide the values of headers; names are lower-case."""
    if redaction.headers.isdisjoint(values):
        return values
    return {name: MASK if name in redaction.headers else value for name, value in values.items()}


def payload(text: str, content_type: str, redaction: Redaction) -> str:
    """Hide the values of fields in a payload: JSON of any kind, a form by its content type."""
    if not redaction.fields or not text:
        return text
    lowered = content_type.lower()
    if "x-www-form-urlencoded" in lowered:
        return pairs(text, redaction)
    if "multipart/" in lowered:
        text = _parts(text, redaction)
    return _json(text, redaction)


def path(target: str, redaction: Redaction) -> str:
    """Hide the values of query parameters in a path that has its query string."""
    before, mark, query = target.partition("?")
    return before + mark + pairs(query, redaction) if mark and redaction.fields else target


def pairs(text: str, redaction: Redaction) -> str:
    """Hide values in `name=value&name=value`; of `user[password]` the last name counts too."""
    return "&".join(_pair(pair, redaction) for pair in text.split("&"))


def _pair(pair: str, redaction: Redaction) -> str:
    name, mark, _ = pair.partition("=")
    return f"{name}={MASK}" if mark and _is_field(unquote_plus(name), redaction) else pair


def _is_field(name: str, redaction: Redaction) -> bool:
    lowered = name.lower()
    last = lowered.removesuffix("]").rpartition("[")[2]
    return lowered in redaction.fields or last in redaction.fields


def _parts(text: str, redaction: Redaction) -> str:
    return "".join(_part(part, redaction) for part in BOUNDARY.split(text))


def _part(part: str, redaction: Redaction) -> str:
    blank = BLANK_LINE.search(part)
    name = PART_NAME.search(part, 0, blank.start()) if blank else None
    if blank and name and _is_field(name[1], redaction):
        return part[: blank.end()] + MASK
    return part


def _json(text: str, redaction: Redaction) -> str:
    out, done, position = [], 0, 0
    while string := STRING.search(text, position):
        position = string.end()
        colon = COLON.match(text, position)
        if colon and _is_field(_unescaped(string[1]), redaction):
            position = _value_end(text, colon.end())
            if position > colon.end():
                out += [text[done : colon.end()], f'"{MASK}"']
                done = position
    return "".join([*out, text[done:]])


def _unescaped(key: str) -> str:
    if "\\" not in key:
        return key
    try:
        return str(json.loads(f'"{key}"', strict=False))
    except ValueError:
        return key


def _value_end(text: str, start: int) -> int:
    """Return where the JSON value that begins at `start` ends, or the text, if it ends before."""
    if text[start : start + 1] in ("{", "["):
        return _nested_end(text, start)
    value = STRING.match(text, start) or SCALAR.match(text, start)
    return value.end() if value else start


def _nested_end(text: str, start: int) -> int:
    depth, position = 0, start
    while position < len(text):
        if skipped := NESTED.match(text, position) or STRING.match(text, position):
            position = skipped.end()
            continue
        depth += 1 if text[position] in "{[" else -1
        position += 1
        if depth == 0:
            return position
    return position
