"""Recognises how a request is authenticated, by its headers, cookies and query (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

MAX_COOKIES = 50

JWT = "jwt"
API_KEY = "api-key"
COOKIE = "cookie"
OTHER = "authorization"

# A JWT (RFC 7519) in compact serialisation (RFC 7515): a header and a payload, each a JSON object, and a signature.
JWT_VALUE = re.compile(r"eyJ[\w-]{2,}\.eyJ[\w-]{2,}\.[\w-]*", re.ASCII)
# The schemes in IANA's registry, and AWS's.
_REGISTERED = "basic digest dpop gnap hoba mutual negotiate ntlm oauth privatetoken scram-sha-1 scram-sha-256 vapid"
SCHEMES = {name: name for name in _REGISTERED.split()} | {"aws4-hmac-sha256": "aws4"}
KEY_HEADER = re.compile(
    r"""(?:x-)?(?:[a-z]{1,20}-){0,2}(?:api-?key|auth-?token|access-?token|api-?token|session-?token|secret-?key
    |subscription-key|functions-key|auth-?key)|(?:x-)?token""",
    re.VERBOSE,
)
KEY_PARAMETER = re.compile(r"(?:x[_-])?(?:api[_-]?key|apikey|access[_-]?token|auth[_-]?token|api[_-]?token|token|sig)")
SESSION_COOKIE = re.compile(
    r"(?:.{0,40}[._-])?(?:sess(?:ion)?(?:[_-]?id)?|sid|auth(?:[_-]?token)?|token|jwt|jsessionid|phpsessid|sessionid"
    r"|aspxauth|access[_-]token|id[_-]token|remember[_-]?me|identity)",
)
# Session cookies with names of one word.
SESSION_SUFFIX = ("sessionid", "sessid", "session", "sid")


class Auth(NamedTuple):
    """One way in which a request is authenticated.

    Attributes:
        kind: `bearer`, `jwt`, `basic` or another scheme; `api-key`, `cookie`, or `authorization` without a scheme.
        place: `header`, `query` or `cookie`.
        name: The header's, parameter's or cookie's name.
        scheme: The scheme before the credentials in `Authorization`, in lower case; else empty.
    """

    kind: str
    place: str
    name: str
    scheme: str = ""


def recognise(headers: Mapping[str, str], query: Mapping[str, object]) -> tuple[Auth, ...]:
    """Return the ways in which a request is authenticated, each once.

    Args:
        headers: The request's, by lower-case names.
        query: The query string's parameters.
    """
    found = [way for name, value in headers.items() if value and (way := _header(name, value))]
    if "cookie" in headers:
        found.extend(_cookies(headers["cookie"]))
    if query:
        found.extend(_query(query))
    return tuple(dict.fromkeys(found))


def _header(name: str, value: str) -> Auth | None:
    if name == "authorization":
        kind, scheme = _scheme(value)
        return Auth(kind, "header", name, scheme)
    if KEY_HEADER.fullmatch(name):
        return Auth(JWT if JWT_VALUE.fullmatch(value) else API_KEY, "header", name)
    if value.startswith("eyJ") and JWT_VALUE.fullmatch(value):
        return Auth(JWT, "header", name[:60])
    return None


def _scheme(value: str) -> tuple[str, str]:
    """Return the kind and the scheme of a value of `Authorization`."""
    word, _, rest = value.strip().partition(" ")
    scheme = word.lower()
    if scheme == "bearer":
        return (JWT if JWT_VALUE.fullmatch(rest.strip()) else scheme), scheme
    if rest and scheme in SCHEMES:
        return SCHEMES[scheme], scheme
    return (JWT if JWT_VALUE.fullmatch(word) else OTHER), ""


def _cookies(header: str) -> Iterator[Auth]:
    for part in islice(header.split(";", MAX_COOKIES), MAX_COOKIES):
        name, mark, value = part.strip().partition("=")
        if mark and value and is_session(name, value):
            yield Auth(COOKIE, "cookie", name[:60])


def is_session(name: str, value: str) -> bool:
    """Return whether a cookie identifies a user: by its name, or by a JWT as its value."""
    lower = name.lower()[:100]
    return bool(SESSION_COOKIE.fullmatch(lower) or lower.endswith(SESSION_SUFFIX) or JWT_VALUE.fullmatch(value))


def _query(query: Mapping[str, object]) -> Iterator[Auth]:
    return (Auth(API_KEY, "query", name) for name in query if KEY_PARAMETER.fullmatch(name.lower()) and query[name])
