"""The entry: what one mirrored exchange looks like to Akto, and how it is made from a flow."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from itertools import chain
from typing import NamedTuple

import ada_url
import msgspec
from mitmproxy import http

from akto_mirror.akto_api import IGNORE, MAX_ENTRY_BYTES, Entry
from akto_mirror.capture import body, redaction
from akto_mirror.capture.body import Body
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.sampling.sampler import Look

HeaderFields = Iterable[tuple[bytes, bytes]]
HeaderMap = dict[str, str]

# The fetch standard's null body statuses: workerd gives such a response no body, even if one was sent.
BODILESS = frozenset({101, 103, 204, 205, 304})

# The most characters of both header fields, of one header where there are more, and of any other field then.
# Cloudflare, before the Worker, takes 128 KB of request headers and as much of response headers.
MAX_HEADERS = 256 * 1024
MAX_HEADER = 8 * 1024
MAX_FIELD = 64 * 1024

# Headers that are looked at, and the bytes of all of them; what a client sends beyond costs nothing here.
MAX_HEADER_FIELDS = 2_000
MAX_HEADER_BYTES = MAX_HEADERS // 2

# What stands for a method of no characters, which HTTP/2 can send and Akto's service cannot take.
NO_METHOD = "OTHER"

# Characters of an IPv6 address with an IPv4 one in it.
LONGEST_ADDRESS = 45

# Names up to this many bytes are remembered, which bounds what strangers can make the memory hold.
SHORT = 64

# A path that the WHATWG parser would return as it is: no dot segments, nothing to encode. The first character of
# a segment decides, so that the expression never backtracks.
PLAIN_PATH = re.compile(rb"(?:/(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9_~!$&'()*+,;=:@.-]*)?)+")


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
    single: HeaderMap = {}
    several: dict[str, list[str]] = {}
    for raw_name, raw_value in fields:
        name = _short_name(raw_name) if len(raw_name) <= SHORT else _lower(raw_name)
        value = raw_value.decode("utf-8", "replace")
        if name in single and (all_cookies or name != "set-cookie"):
            several.setdefault(name, [single[name]]).append(value)
        else:
            single[name] = value
    for name, values in several.items():
        single[name] = ("; " if all_cookies and name == "cookie" else ", ").join(values)
    return _ordered(single)


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
    path = url.pathname.replace("^", "%5E") or "/"
    return path + url.search if include_query else path


class Captured(NamedTuple):
    """An entry that is ready to be sent.

    Attributes:
        entry: the entry.
        encoded: the same for the wire; nothing encodes it again.
        is_shortened: whether it was too large, and is cut.
        look: what sampling has to know once it is sent; None without sampling.
    """

    entry: Entry
    encoded: bytes
    is_shortened: bool
    look: Look | None = None


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
        payloads: what `payloads` returns, if it was called before.
    """

    request_headers: HeaderMap
    response_headers: HeaderMap
    request_body: Body
    response_body: Body
    is_websocket: bool
    host: str
    time: float
    payloads: tuple[str, str] | None = None


def build(flow: http.HTTPFlow, response: http.Response, config: CaptureConfig, exchange: Exchange) -> Entry:
    """Make the entry of a flow and its response."""
    sent, answered = exchange.payloads or payloads(exchange, config, response.status_code)
    request = flow.request
    hidden = config.redaction
    request_headers = _with_host(_without_ignore(exchange.request_headers, config), exchange.host)
    request_type = exchange.request_headers.get("content-type", "")
    response_type = exchange.response_headers.get("content-type", "")
    return Entry(
        path=redaction.path(path_of(request.data.path[:MAX_FIELD], include_query=config.include_query), hidden),
        method=request.data.method.decode("utf-8", "replace") or NO_METHOD,
        requestHeaders=to_json(redaction.headers(request_headers, hidden)),
        responseHeaders=to_json(redaction.headers(exchange.response_headers, hidden)),
        requestPayload=redaction.payload(sent, request_type, hidden),
        responsePayload=redaction.payload(answered, response_type, hidden),
        ip=_client_ip(flow, config, request_headers),
        time=str(int(exchange.time)),
        statusCode=str(response.status_code),
        type="WebSocket" if exchange.is_websocket else "HTTP/1.1",
        status=response.data.reason.decode("utf-8", "replace") or "OK",
        akto_account_id=config.account_id,
        akto_vxlan_id=config.vxlan_id,
        is_pending="false",
        source="MIRRORING",
        tag=config.tag,
    )


def _with_host(headers: HeaderMap, host: str) -> HeaderMap:
    if not host or headers.get("host") == host:
        return headers
    replaced = headers | {"host": host}
    return replaced if "host" in headers else _ordered(replaced)


def _without_ignore(headers: HeaderMap, config: CaptureConfig) -> HeaderMap:
    """Drop what would make Akto leave out an entry that is to count; the Worker does not."""
    if config.worker or IGNORE not in headers:
        return headers
    return {name: value for name, value in headers.items() if name != IGNORE}


def payloads(exchange: Exchange, config: CaptureConfig, status: int) -> tuple[str, str]:
    """Return the payloads of the request and of the response with this status, before anything is redacted."""
    if exchange.is_websocket:
        return "", ""
    asked, answered = exchange.request_headers, exchange.response_headers
    if not config.worker:
        sent = _akto_payload(exchange.request_body, asked, config)
        return sent, _akto_payload(exchange.response_body, answered, config)
    coding = answered.get("content-encoding", "")
    limit = 0 if status in BODILESS else config.body_limit
    sent = body.worker_payload(exchange.request_body, "", config.body_limit)
    return sent, body.worker_payload(exchange.response_body, coding, limit)


def _akto_payload(wire: Body, headers: HeaderMap, config: CaptureConfig) -> str:
    return body.akto_payload(
        wire, headers.get("content-type", ""), headers.get("content-encoding", ""), config.body_limit
    )


def _client_ip(flow: http.HTTPFlow, config: CaptureConfig, headers: HeaderMap) -> str:
    given = headers.get(config.client_ip_header, "")
    if config.worker:
        return given or "127.0.0.1"
    first = given.partition(",")[0].strip()
    if first and _is_address(first):
        return first
    peer = flow.client_conn.peername
    return peer[0] if peer else "127.0.0.1"


def _is_address(text: str) -> bool:
    return len(text) <= LONGEST_ADDRESS and _is_short_address(text)


@lru_cache(maxsize=4096)
def _is_short_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_encoder = msgspec.json.Encoder()


def to_json(headers: HeaderMap) -> str:
    """Return compact JSON text with non-ASCII characters as they are, as `JSON.stringify` writes it."""
    return _encoder.encode(headers).decode("utf-8")


def is_oversized(entry: Entry, encoded: bytes) -> bool:
    """Tell whether an entry has to be cut before it is sent."""
    return len(encoded) > MAX_ENTRY_BYTES or len(entry.requestHeaders) + len(entry.responseHeaders) > MAX_HEADERS


def encode(entry: Entry) -> bytes:
    """Encode an entry for the wire."""
    # A copy: what msgspec returns keeps the buffer that it grew, up to half as much again, while the entry waits.
    return bytes(memoryview(_encoder.encode(entry)))


def fit(entry: Entry, *, is_cut: bool = False) -> Captured:
    """Encode an entry for the wire, cut if it is oversized; `is_cut` tells that something of it was cut before."""
    encoded = encode(entry)
    if not is_oversized(entry, encoded):
        return Captured(entry, encoded, is_shortened=is_cut)
    short = shorten(entry)
    return Captured(short, encode(short), is_shortened=True)


def shorten(entry: Entry) -> Entry:
    """Cut an entry that is oversized until it fits: long headers and other fields first, then the payloads.

    Each payload loses the same share. Escapes can make one six times as long as its text, and stand in one part of it
    only, so that one cut may not be enough.
    """
    entry = _with_short_fields(entry)
    fixed = len(encode(msgspec.structs.replace(entry, requestPayload="", responsePayload="")))
    while (size := len(encode(entry))) > MAX_ENTRY_BYTES:
        share = 0.98 * (MAX_ENTRY_BYTES - fixed) / (size - fixed)
        entry = msgspec.structs.replace(
            entry,
            requestPayload=_cut(entry.requestPayload, share),
            responsePayload=_cut(entry.responsePayload, share),
        )
    return entry


def _with_short_fields(entry: Entry) -> Entry:
    return msgspec.structs.replace(
        entry,
        path=entry.path[:MAX_FIELD],
        method=entry.method[:MAX_FIELD],
        ip=entry.ip[:MAX_FIELD],
        status=entry.status[:MAX_FIELD],
        requestHeaders=_short_headers(entry.requestHeaders),
        responseHeaders=_short_headers(entry.responseHeaders),
    )


def _short_headers(text: str) -> str:
    """Keep of headers the beginning of each, and the first of them, as many as `MAX_HEADERS` has room for."""
    if len(text) <= MAX_HEADERS // 2:
        return text
    kept: HeaderMap = {}
    room = MAX_HEADERS // 2
    for name, value in msgspec.json.decode(text, type=HeaderMap).items():
        kept[name[:MAX_HEADER]] = value[:MAX_HEADER]
        room -= min(len(name), MAX_HEADER) + min(len(value), MAX_HEADER)
        if room < 0:
            break
    return to_json(kept)


def _cut(payload: str, share: float) -> str:
    """Cut at a multiple of 4, so that base64 stays base64."""
    return payload[: int(len(payload) * share) & ~3]
