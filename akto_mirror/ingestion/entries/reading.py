"""Reads the parts of an entry: texts, headers, host and endpoint (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from akto_mirror.ingestion.entries.shapes import Text
from akto_mirror.path_templates import fold_path

MAX_HEADERS = 200
MAX_HOST_CHARS = 255
MAX_PATH_CHARS = 2_048
MAX_METHOD_CHARS = 32

NO_HOST = "no host name (collection "

# Request headers that all clients send or proxies add, and headers that are not parameters (OpenAPI 3.1, 4.8.12).
COMMON_HEADERS = frozenset(
    """accept accept-charset accept-encoding accept-language access-control-request-headers connection content-encoding
    access-control-request-method authorization baggage cache-control cdn-loop content-length content-type cookie date
    dnt expect forwarded from host http2-settings keep-alive max-forwards origin pragma priority proxy-authorization
    proxy-connection range referer save-data te traceparent tracestate trailer transfer-encoding true-client-ip upgrade
    upgrade-insecure-requests user-agent via x-client-ip x-cluster-client-ip x-real-ip x-requested-with
    """.split()  # noqa: SIM905 - as a list of literals it takes a line a name
)
COMMON_PREFIXES = ("sec-", "x-forwarded-", "x-envoy-", "x-b3-", "cf-", "x-amzn-", "x-akto-", "x-datadog-", ":", "grpc-")


def text_of(entry: Mapping[str, Any], name: str) -> str:
    """Return a string that JSON can carry: lone surrogates are replaced, and anything else becomes empty."""
    return clean(entry.get(name))


def clean(value: object) -> str:
    """Return a value as a string that JSON can carry."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def seconds_of(entry: Mapping[str, Any]) -> int:
    """Return an entry's time in epoch seconds; 0 if it has none."""
    return _number(text_of(entry, "time"))


def left_out_of(entry: Mapping[str, Any]) -> int:
    """Return how many exchanges of its endpoint sampling left out before an entry, as it reports."""
    return _number(text_of(entry, "akto_mirror_left_out"))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0


def status_of(entry: Mapping[str, Any]) -> str:
    """Return the status: three digits, or whatever the entry has instead."""
    return text_of(entry, "statusCode")[:3]


def read_headers(text: object) -> Mapping[str, str]:
    """Parse the headers of an entry from JSON, with lower-case names, and string values only."""
    return _read_headers(text) if isinstance(text, str) else {}


# Several functions read the headers of an entry.
@lru_cache(maxsize=8)
def _read_headers(text: str) -> Mapping[str, str]:
    try:
        headers = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    if not isinstance(headers, dict):
        return {}
    return {name.lower(): value for name, value in islice(headers.items(), MAX_HEADERS) if isinstance(value, str)}


def parameters(headers: Mapping[str, str], known: Iterable[str]) -> dict[str, Text]:
    """Return the headers of a request or response that are specific to the API.

    Args:
        headers: By lower-case names.
        known: Further names to leave out, because they authenticate.
    """
    left_out = COMMON_HEADERS.union(known)
    return {
        name: Text(value)
        for name, value in headers.items()
        if name not in left_out and not name.startswith(COMMON_PREFIXES)
    }


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()[:100]


def host_of(host: str, vxlan_id: str) -> str:
    """Return the name of Akto's API collection: the host or, if it has no letter, the vxlan id."""
    name = host.strip().lower()[:MAX_HOST_CHARS]
    return name if name != name.upper() else f"{NO_HOST}{vxlan_id[:MAX_HOST_CHARS] or 0})"


def is_host(name: str) -> bool:
    """Return whether a string is a host, and not the label of entries without one."""
    return not name.startswith(NO_HOST)


def key_of(entry: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Return the host, method and folded path of the endpoint that an entry belongs to.

    Args:
        entry: The entry.
        headers: Its request headers, by lower-case names.
    """
    host = host_of(headers.get("host", ""), text_of(entry, "akto_vxlan_id"))
    return host, text_of(entry, "method")[:MAX_METHOD_CHARS].upper(), fold_path(target_of(entry)[0])


def target_of(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return an entry's path and query string."""
    path, _, query = text_of(entry, "path")[:MAX_PATH_CHARS].partition("?")
    return path, query
