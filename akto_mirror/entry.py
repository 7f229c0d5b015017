"""The entry: what one mirrored exchange looks like to Akto, and how it is made from a flow."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import ada_url
import msgspec
from mitmproxy import http

from akto_mirror import body, redact
from akto_mirror.body import Body
from akto_mirror.redact import Redaction

HeaderFields = Iterable[tuple[bytes, bytes]]
HeaderMap = dict[str, str]

# The largest entry that is sent: well under what Akto's service takes (5,242,880 characters a string) and what
# its Kafka producer can hand on (about 5 MiB a record).
MAX_ENTRY_BYTES = 4 * 1024 * 1024

# The fetch standard's null body statuses: workerd gives such a response no body, even if one was sent.
BODILESS = frozenset({101, 103, 204, 205, 304})

NOTHING = Redaction()

# Names up to this many bytes are remembered, which bounds what strangers can make the memory hold.
SHORT = 64

# A path that the WHATWG parser would return as it is: no dot segments, nothing to encode. The first character of
# a segment decides, so that the expression never backtracks.
PLAIN_PATH = re.compile(rb"(?:/(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9_~!$&'()*+,;=:@.-]*)?)+")


class Entry(msgspec.Struct, frozen=True):
    """One exchange as Akto's data-ingestion service takes it; every value is a string.

    The fields and their order are those of Akto's Cloudflare Worker. `requestHeaders`, `responseHeaders` and `tag`
    hold JSON as a string; `time` is in epoch seconds.
    """

    path: str
    method: str
    requestHeaders: str  # noqa: N815 - Akto's wire names
    responseHeaders: str  # noqa: N815
    requestPayload: str  # noqa: N815
    responsePayload: str  # noqa: N815
    ip: str
    time: str
    statusCode: str  # noqa: N815
    type: str
    status: str
    akto_account_id: str
    akto_vxlan_id: str
    is_pending: str
    source: str
    tag: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What of the settings shapes an entry."""

    worker: bool
    account_id: str
    vxlan_id: str
    tag: str
    host: str
    client_ip_header: str
    include_query: bool
    body_limit: int
    redaction: Redaction = NOTHING


def header_map(fields: HeaderFields, *, all_cookies: bool) -> HeaderMap:
    """Return header names and values as the Worker's `Object.fromEntries(headers)` orders and joins them.

    Names are lower-case and sorted; bytes are read as UTF-8; values of one name are joined with `, `, but of several
    `set-cookie` only the last is kept unless `all_cookies`; then those of `cookie` are joined as RFC 9113, section
    8.2.3, puts together again what HTTP/2 clients send in pieces.
    """
    joined: HeaderMap = {}
    for raw_name, raw_value in fields:
        name = _short_name(raw_name) if len(raw_name) <= SHORT else _lower(raw_name)
        value = raw_value.decode("utf-8", "replace")
        if name in joined and (all_cookies or name != "set-cookie"):
            value = f"{joined[name]}{'; ' if all_cookies and name == 'cookie' else ', '}{value}"
        joined[name] = value
    return _ordered(joined)


def _ordered(headers: HeaderMap) -> HeaderMap:
    names = sorted(headers)
    first = bisect_left(names, "0")
    if first < len(names) and names[first] < ":":
        names.sort(key=_order)
    return {name: headers[name] for name in names}


def _lower(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").lower()


_short_name = lru_cache(maxsize=4096)(_lower)


def _order(name: str) -> tuple[int, str]:
    """A JavaScript object lists integer-like keys first, by value (ECMAScript, OrdinaryOwnPropertyKeys)."""
    is_index = name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) <= 10
    return (int(name), "") if is_index and int(name) < 2**32 - 1 else (2**32, name)


def path_of(target: bytes, *, include_query: bool) -> str:
    """Return the WHATWG URL `pathname` of a request target, and the query string if it is wanted."""
    path, mark, query = target.partition(b"?")
    if PLAIN_PATH.fullmatch(path) and b"#" not in query and not (include_query and mark):
        return path.decode("ascii")
    return _parsed_path(target, include_query=include_query)


def _parsed_path(target: bytes, *, include_query: bool) -> str:
    shown = target.decode("utf-8", "replace")
    base = "" if "://" in shown.partition("?")[0] and not shown.startswith("/") else "http://h"
    slash = "" if base == "" or shown.startswith("/") else "/"
    try:
        url = ada_url.URL(base + slash + shown)
    except ValueError:
        return shown
    # The URL standard has encoded ^ in paths since 2023; ada-url below version 2.8 of its core does not.
    path = url.pathname.replace("^", "%5E")
    return path + url.search if include_query else path


class Exchange(NamedTuple):
    """What a flow does not tell by itself, or not in the form that an entry needs.

    Attributes:
        request_headers: by `header_map`.
        response_headers: by `header_map`.
        request_body: the request's wire bytes.
        response_body: the response's wire bytes.
        is_websocket: the request asks for a WebSocket; payloads are empty then.
        host: the host to report; empty leaves the headers as they are.
        time: when the exchange took place, in epoch seconds.
    """

    request_headers: HeaderMap
    response_headers: HeaderMap
    request_body: Body
    response_body: Body
    is_websocket: bool
    host: str
    time: float


def build(flow: http.HTTPFlow, response: http.Response, shape: Shape, exchange: Exchange) -> Entry:
    """Make the entry of a flow and its response."""
    request = flow.request
    hidden = shape.redaction
    request_headers = _with_host(exchange.request_headers, exchange.host)
    request_type = exchange.request_headers.get("content-type", "")
    response_type = exchange.response_headers.get("content-type", "")
    return Entry(
        path=redact.path(path_of(request.data.path, include_query=shape.include_query), hidden),
        method=request.data.method.decode("utf-8", "replace"),
        requestHeaders=to_json(redact.headers(request_headers, hidden)),
        responseHeaders=to_json(redact.headers(exchange.response_headers, hidden)),
        requestPayload=redact.payload(_request_payload(exchange, shape), request_type, hidden),
        responsePayload=redact.payload(_response_payload(exchange, shape, response.status_code), response_type, hidden),
        ip=_client_ip(flow, shape, request_headers),
        time=str(int(exchange.time)),
        statusCode=str(response.status_code),
        type="WebSocket" if exchange.is_websocket else "HTTP/1.1",
        status=response.data.reason.decode("utf-8", "replace") or "OK",
        akto_account_id=shape.account_id,
        akto_vxlan_id=shape.vxlan_id,
        is_pending="false",
        source="MIRRORING",
        tag=shape.tag,
    )


def _with_host(headers: HeaderMap, host: str) -> HeaderMap:
    if not host or headers.get("host") == host:
        return headers
    replaced = headers | {"host": host}
    return replaced if "host" in headers else _ordered(replaced)


def _request_payload(exchange: Exchange, shape: Shape) -> str:
    headers = exchange.request_headers
    if exchange.is_websocket:
        return ""
    if shape.worker:
        return body.worker_payload(exchange.request_body, "", shape.body_limit)
    return _akto_payload(exchange.request_body, headers, shape)


def _response_payload(exchange: Exchange, shape: Shape, status: int) -> str:
    headers = exchange.response_headers
    if exchange.is_websocket:
        return ""
    if shape.worker:
        if status in BODILESS:
            return ""
        return body.worker_payload(exchange.response_body, headers.get("content-encoding", ""), shape.body_limit)
    return _akto_payload(exchange.response_body, headers, shape)


def _akto_payload(wire: Body, headers: HeaderMap, shape: Shape) -> str:
    return body.akto_payload(
        wire, headers.get("content-type", ""), headers.get("content-encoding", ""), shape.body_limit
    )


def _client_ip(flow: http.HTTPFlow, shape: Shape, headers: HeaderMap) -> str:
    given = headers.get(shape.client_ip_header, "")
    if shape.worker:
        return given or "127.0.0.1"
    peer = flow.client_conn.peername
    return given.partition(",")[0].strip() or (peer[0] if peer else "127.0.0.1")


_encoder = msgspec.json.Encoder()


def to_json(headers: HeaderMap) -> str:
    """Return compact JSON text with non-ASCII characters as they are, as `JSON.stringify` writes it."""
    return _encoder.encode(headers).decode("utf-8")


def encode(entry: Entry) -> bytes:
    """Encode an entry for the wire."""
    # A copy: what msgspec returns keeps the buffer that it grew, up to half as much again, while the entry waits.
    return bytes(memoryview(_encoder.encode(entry)))


def shorten(entry: Entry) -> bytes:
    """Encode an entry that is over `MAX_ENTRY_BYTES` with payloads that are cut until it fits.

    Each loses the same share. Escapes can make a payload six times as long as its text, and stand in one part of it
    only, so that one cut may not be enough.
    """
    while len(encoded := encode(entry)) > MAX_ENTRY_BYTES and (entry.requestPayload or entry.responsePayload):
        share = 0.98 * MAX_ENTRY_BYTES / len(encoded)
        entry = msgspec.structs.replace(
            entry,
            requestPayload=_cut(entry.requestPayload, share),
            responsePayload=_cut(entry.responsePayload, share),
        )
    return encoded


def _cut(payload: str, share: float) -> str:
    """Cut at a multiple of 4, so that base64 stays base64."""
    return payload[: int(len(payload) * share) & ~3]
