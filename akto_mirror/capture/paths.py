"""Paths in entries: the WHATWG URL's `pathname`, and optionally the query."""

from __future__ import annotations

import re

import ada_url

# A path that the WHATWG parser would return as it is: no dot segments, nothing to encode. The first character of
# a segment decides, so that the expression never backtracks.
PLAIN_PATH = re.compile(rb"(?:/(?:[A-Za-z0-9_~!$&'()+*,;=:@-][A-Za-z0-9_~!$&'()+*,;=:@.-]*)?)+")

# A query that it would return as it is: what the "special-query percent-encode set" leaves alone.
PLAIN_QUERY = re.compile(rb"[!$-&(-;=?-~]+")

# If a query contains one of these, Akto's runtime takes the entry for a health check or a static file and drops it, or
# drops all of its parameters.
ENDINGS = "html?|css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|woff2?|ttf|otf|eot|pdf|mp4|webm"
LOST = re.compile(rf"/(?=health)|\.(?=(?:{ENDINGS})(?:\?|\Z))|\?|%(?![0-9a-f]{{2}})", re.IGNORECASE)

# It drops a parameter that contains another `=` before other characters, or nothing behind it.
VALUE = re.compile("(?<==)[^&=]*=[^&]*")


def path_of(target: bytes, *, include_query: bool) -> str:
    """Return the WHATWG URL `pathname` of a request target, and optionally the query string."""
    path, mark, query = target.partition(b"?")
    if not PLAIN_PATH.fullmatch(path) or b"#" in query:
        return _parsed_path(target, include_query=include_query)
    if not (include_query and mark):
        return path.decode("ascii")
    if PLAIN_QUERY.fullmatch(query):
        return target.decode("ascii")
    return _parsed_path(target, include_query=True)


def _parsed_path(target: bytes, *, include_query: bool) -> str:
    shown = target.decode("utf-8", "replace")
    base = "" if "://" in shown.partition("?")[0] and not shown.startswith("/") else "http://h"
    slash = "" if base == "" or shown.startswith("/") else "/"
    try:
        url = ada_url.URL(base + slash + shown)
    except ValueError:
        return shown
    # The URL standard has encoded ^ in paths since 2023; ada-url below version 2.8 of its core does not.
    path = url.pathname.replace("^", "%5E") or "/"
    return path + url.search if include_query else path


def without_triggers(path: str) -> str:
    """Encode the parts of a query because of which Akto would drop the entry or parameters; the meaning is unchanged.

    The path before the query stays: there, health checks and static files are recognised correctly.
    """
    plain, mark, query = path.partition("?")
    if not mark:
        return path
    query = VALUE.sub(lambda value: value[0].replace("=", "%3D"), LOST.sub(_escaped, query))
    return plain + mark + query


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
