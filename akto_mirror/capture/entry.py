"""Builds the entry of a flow: one mirrored exchange in Akto's format."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

import msgspec
from mitmproxy import http

from akto_mirror.akto_api import IGNORE, Entry
from akto_mirror.capture import paths, sides
from akto_mirror.capture.body import Body
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.encoding import MAX_FIELD, Draft
from akto_mirror.capture.headers import HeaderMap, ordered, to_json
from akto_mirror.capture.payload.events import NO_ID, request_id
from akto_mirror.capture.redaction import Hiding, Redaction
from akto_mirror.capture.sides import Side
from akto_mirror.outcomes import Repair

# Replaces an empty method, which HTTP/2 can send and Akto's service does not accept.
NO_METHOD = "OTHER"

NOTHING_HIDDEN = Hiding(Redaction())

# Characters of the longest IPv6 address, which contains an IPv4 address.
LONGEST_ADDRESS = 45


class Exchange(NamedTuple):
    """Facts that a flow does not contain, or not in the form that an entry needs.

    Attributes:
        request_headers: by `header_map`.
        response_headers: by `header_map`.
        request_body: the request's body on the wire.
        response_body: the response's body on the wire.
        is_websocket: whether this is a WebSocket, whose payloads are empty.
        host: the host to report; empty leaves the headers as they are.
        time: when the exchange took place, in epoch seconds.
        is_cut: whether its path or headers are too long to be reported completely.
        sides: the result of `sides_of`, if it was called before.
    """

    request_headers: HeaderMap
    response_headers: HeaderMap
    request_body: Body
    response_body: Body
    is_websocket: bool
    host: str
    time: float
    is_cut: bool = False
    sides: tuple[Side, Side] | None = None


def build(flow: http.HTTPFlow, response: http.Response, config: CaptureConfig, exchange: Exchange) -> Draft:
    """Build the entry of a flow and its response."""
    request = flow.request
    hiding = Hiding(config.redaction) if config.redaction else NOTHING_HIDDEN
    asked, answered = exchange.sides or sides_of(exchange, config, response.status_code)
    request_headers = _with_host(_without_ignore(asked.headers, config), exchange.host)
    types = (asked.payload.content_type, answered.payload.content_type)
    entry = Entry(
        path=_path(request.data.path[:MAX_FIELD], config, hiding),
        method=request.data.method.decode("utf-8", "replace") or NO_METHOD,
        requestHeaders=to_json(hiding.headers(request_headers)),
        responseHeaders=to_json(hiding.headers(answered.headers)),
        requestPayload=hiding.payload(asked.payload.text, types[0]),
        responsePayload=hiding.payload(answered.payload.text, types[1]),
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
        direction=config.direction or msgspec.UNSET,
    )
    return Draft(entry, types, _repairs(asked, answered), hiding.secrets)


def _repairs(asked: Side, answered: Side) -> tuple[Repair, ...]:
    if not (asked.payload.repaired or answered.payload.repaired):
        return ()
    sides = (("request", asked), ("response", answered))
    return tuple(Repair(name, kind) for name, side in sides for kind in side.payload.repaired)


def sides_of(exchange: Exchange, config: CaptureConfig, status: int) -> tuple[Side, Side]:
    """Return the request and the response with this status, before anything is redacted."""
    asked, answered, limit = exchange.request_headers, exchange.response_headers, config.body_limit
    if exchange.is_websocket:
        return sides.without_payload(asked), sides.without_payload(answered)
    if config.worker:
        return (
            sides.worker(exchange.request_body, asked, limit),
            sides.worker(exchange.response_body, answered, limit, status),
        )
    request = sides.akto(exchange.request_body, asked, limit)
    # Only an event stream can contain the response to a JSON-RPC request.
    is_stream = "event-stream" in answered.get("content-type", "").lower()
    number = request_id(request.payload.text) if is_stream else NO_ID
    return request, sides.akto(exchange.response_body, answered, limit, number)


def _path(target: bytes, config: CaptureConfig, hiding: Hiding) -> str:
    path = hiding.path(paths.path_of(target, include_query=config.include_query))
    return paths.without_triggers(path) if config.include_query else path


def _with_host(headers: HeaderMap, host: str) -> HeaderMap:
    if not host or headers.get("host") == host:
        return headers
    replaced = headers | {"host": host}
    return replaced if "host" in headers else ordered(replaced)


def _without_ignore(headers: HeaderMap, config: CaptureConfig) -> HeaderMap:
    """Remove the header with which Akto would ignore the entry; the Worker does not."""
    if config.worker or IGNORE not in headers:
        return headers
    return {name: value for name, value in headers.items() if name != IGNORE}


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
