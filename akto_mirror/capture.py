"""From a flow to its entry: the decision and the snapshot, for the addon and for whatever replays recorded flows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from mitmproxy import http

from akto_mirror import body, destination, entry, host, routes, rules, tee
from akto_mirror.body import Body
from akto_mirror.destination import INGEST_PATH
from akto_mirror.entry import Exchange, HeaderMap, Shape
from akto_mirror.options import Settings
from akto_mirror.rules import Reason, Skip
from akto_mirror.sinks.http import MARKER


def shape(settings: Settings) -> Shape:
    """Return what of the settings shapes an entry."""
    return Shape(
        worker=settings.worker,
        account_id=settings.account_id,
        vxlan_id=settings.vxlan_id,
        tag=settings.tag,
        host=settings.host,
        client_ip_header=settings.client_ip_header,
        include_query=settings.include_query,
        body_limit=settings.body_limit,
        redaction=settings.redaction,
    )


def decide(flow: http.HTTPFlow, response: http.Response, settings: Settings, marker: str) -> Exchange | Skip:
    """Apply the rules to a flow and its response, and take the snapshot if they say yes.

    Args:
        flow: the flow.
        response: its response, or what there is of it.
        settings: all options.
        marker: what this process puts into the header `x-akto-mirror` of its own calls to Akto.
    """
    request_headers = entry.header_map(flow.request.headers.fields, all_cookies=not settings.worker)
    response_headers = entry.header_map(response.headers.fields, all_cookies=not settings.worker)
    skip = _unwanted(flow, request_headers, settings, marker)
    if skip is None and not rules.is_websocket(request_headers.get("upgrade", "")):
        skip = rules.judge(
            response.status_code, request_headers.get("content-type", ""), response_headers.get("content-type", "")
        )
    return skip or _exchange(flow, response, settings, request_headers, response_headers)


def snapshot(flow: http.HTTPFlow, response: http.Response, settings: Settings) -> Exchange:
    """Take the snapshot of a flow whatever the rules say of it."""
    request_headers = entry.header_map(flow.request.headers.fields, all_cookies=not settings.worker)
    response_headers = entry.header_map(response.headers.fields, all_cookies=not settings.worker)
    return _exchange(flow, response, settings, request_headers, response_headers)


def _unwanted(flow: http.HTTPFlow, headers: HeaderMap, settings: Settings, marker: str) -> Skip | None:
    if MARKER in headers and _leads_to_akto(flow.request.path, settings, is_own=headers[MARKER] == marker):
        return Skip(Reason.OWN_CALL)
    if settings.routes and not _on_route(flow, headers, settings):
        return Skip(Reason.ROUTE)
    if settings.filter and not settings.filter(flow):
        return Skip(Reason.FILTER)
    return None


def _leads_to_akto(path: str, settings: Settings, *, is_own: bool) -> bool:
    """Tell calls to Akto, those of another proxy's addon too: two that mirror each other would never end.

    A stranger who adds the header hides nothing but the way to Akto itself, even one who has seen its value.
    """
    ways = {INGEST_PATH, settings.destination.path}
    if is_own:
        ways.add(destination.beside(settings.destination.path, destination.HEALTH_PATH))
    return path in ways


def _on_route(flow: http.HTTPFlow, headers: HeaderMap, settings: Settings) -> bool:
    asked = host.asked(flow, headers.get("host", "")) or flow.request.host
    scheme, name = "https" if flow.client_conn.tls else "http", routes.host_name(asked)
    return any(routes.any_matches(settings.routes, scheme, name, path) for path in _spellings(flow.request))


def _spellings(request: http.Request) -> Iterator[str]:
    """Give a request's path as it was sent and, if that leads to no route, as it is reported and as servers read it."""
    yield request.path
    shown = entry.path_of(request.data.path, include_query=True)
    yield shown
    yield routes.plain(shown)


def _is_websocket(flow: http.HTTPFlow, response: http.Response, headers: HeaderMap, settings: Settings) -> bool:
    """Tell whether the exchange has no payloads; the Worker believes whoever says so."""
    if not rules.is_websocket(headers.get("upgrade", "")):
        return False
    return settings.worker or rules.is_handshake(flow.request.method, response.status_code)


def _exchange(
    flow: http.HTTPFlow,
    response: http.Response,
    settings: Settings,
    request_headers: HeaderMap,
    response_headers: HeaderMap,
) -> Exchange:
    return Exchange(
        request_headers,
        response_headers,
        tee.body_of(flow.request, settings.body_limit),
        _response_body(flow, response, settings),
        is_websocket=_is_websocket(flow, response, request_headers, settings),
        host=settings.host or host.asked(flow, request_headers.get("host", "")),
        time=_when(flow),
    )


def _response_body(flow: http.HTTPFlow, response: http.Response, settings: Settings) -> Body:
    """Return what there is of the response; the Worker reads a body that breaks off as none at all."""
    return body.EMPTY if settings.worker and flow.error else tee.body_of(response, settings.body_limit)


def _when(flow: http.HTTPFlow) -> float:
    """When the exchange ended, in epoch seconds; a replayed flow keeps its own time."""
    response, error = flow.response, flow.error
    stamps = (
        response.timestamp_end if response else None,
        error.timestamp if error else None,
        response.timestamp_start if response else None,
        flow.request.timestamp_start,
    )
    return next((stamp for stamp in stamps if stamp is not None and math.isfinite(stamp)), time.time())
