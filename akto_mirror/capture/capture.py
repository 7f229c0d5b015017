"""From a flow to its entry or a reason: one way for the addon, its commands, replays and tests."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from mitmproxy import http

from akto_mirror.akto_api import HEALTH_PATH, IGNORE, INGEST_PATH, MARKER, beside
from akto_mirror.capture import body, entry, hosts, routes, rules, tee
from akto_mirror.capture.body import Body
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.entry import Captured, Exchange, HeaderMap
from akto_mirror.outcomes import Reason, Skip


class Capture:
    """Decides about flows, and makes entries of them.

    Args:
        config: what of the options counts here.
        marker: what this process puts into the header `x-akto-mirror` of its own calls to Akto.
    """

    def __init__(self, config: CaptureConfig, marker: str) -> None:
        self._config = config
        self._marker = marker

    def of(self, flow: http.HTTPFlow) -> Captured | Skip:
        """Return what is sent of a flow, or why nothing is."""
        if flow.response is None:
            return Skip(Reason.NO_RESPONSE)
        asked, answered = self._headers(flow, flow.response)
        return self._skip(flow, flow.response, asked, answered) or self._make(flow, flow.response, asked, answered)

    def judge(self, flow: http.HTTPFlow) -> Skip | None:
        """Return why nothing would be sent of a flow; None if something would be."""
        if flow.response is None:
            return Skip(Reason.NO_RESPONSE)
        return self._skip(flow, flow.response, *self._headers(flow, flow.response))

    def anyway(self, flow: http.HTTPFlow, response: http.Response) -> Captured:
        """Return what is sent of a flow whatever the rules say of it."""
        return self._make(flow, response, *self._headers(flow, response))

    def _headers(self, flow: http.HTTPFlow, response: http.Response) -> tuple[HeaderMap, HeaderMap]:
        if not flow.live:
            hosts.modernize(flow)
        all_cookies = not self._config.worker
        return (
            entry.header_map(entry.bounded(flow.request.headers.fields), all_cookies=all_cookies),
            entry.header_map(entry.bounded(response.headers.fields), all_cookies=all_cookies),
        )

    def _skip(self, flow: http.HTTPFlow, response: http.Response, asked: HeaderMap, answered: HeaderMap) -> Skip | None:
        skip = self._unwanted(flow, asked)
        if skip is not None or rules.is_websocket(asked.get("upgrade", "")):
            return skip
        return rules.judge(response.status_code, asked.get("content-type", ""), answered.get("content-type", ""))

    def _unwanted(self, flow: http.HTTPFlow, headers: HeaderMap) -> Skip | None:
        config = self._config
        if MARKER in headers and self._leads_to_akto(flow.request.path, is_own=headers[MARKER] == self._marker):
            return Skip(Reason.OWN_CALL)
        if config.routes and not _on_route(flow, headers, config.routes):
            return Skip(Reason.ROUTE)
        if config.filter and not config.filter(flow):
            return Skip(Reason.FILTER)
        if config.honor_ignore and not config.worker and IGNORE in headers:
            return Skip(Reason.IGNORED)
        return None

    def _leads_to_akto(self, path: str, *, is_own: bool) -> bool:
        """Know calls to Akto, those of another proxy's addon too: two that mirror each other would never end.

        A client that adds the header hides nothing but the way to Akto itself, even one that has seen its value.
        """
        ways = {INGEST_PATH, self._config.ingest_path}
        if is_own:
            ways.add(beside(self._config.ingest_path, HEALTH_PATH))
        return path in ways

    def _make(self, flow: http.HTTPFlow, response: http.Response, asked: HeaderMap, answered: HeaderMap) -> Captured:
        exchange = Exchange(
            asked,
            answered,
            tee.body_of(flow.request, self._config.body_limit),
            self._response_body(flow, response),
            is_websocket=self._is_websocket(flow, response, asked),
            host=self._host(flow, asked),
            time=_when(flow),
        )
        return entry.fit(entry.build(flow, response, self._config, exchange), is_cut=_is_cut(flow.request, response))

    def _host(self, flow: http.HTTPFlow, headers: HeaderMap) -> str:
        """Return the host to report; of several Host fields the first counts, but the Worker joins them."""
        header = headers.get("host", "")
        return self._config.host or hosts.asked(flow, header if self._config.worker else header.partition(", ")[0])

    def _is_websocket(self, flow: http.HTTPFlow, response: http.Response, headers: HeaderMap) -> bool:
        """Return whether the exchange has no payloads; the Worker believes every client that says so."""
        if not rules.is_websocket(headers.get("upgrade", "")):
            return False
        return self._config.worker or rules.is_handshake(flow.request.method, response.status_code)

    def _response_body(self, flow: http.HTTPFlow, response: http.Response) -> Body:
        """Return what there is of the response; the Worker reads a body that breaks off as none at all."""
        return body.EMPTY if self._config.worker and flow.error else tee.body_of(response, self._config.body_limit)


def _is_cut(request: http.Request, response: http.Response) -> bool:
    """Return whether a path or headers are longer than what is looked at of them."""
    fields = request.headers.fields, response.headers.fields
    return len(request.data.path) > entry.MAX_FIELD or any(entry.bounded(each) is not each for each in fields)


def _on_route(flow: http.HTTPFlow, headers: HeaderMap, wanted: tuple[routes.Route, ...]) -> bool:
    asked = hosts.asked(flow, headers.get("host", "")) or flow.request.host
    scheme, name = "https" if flow.client_conn.tls else "http", routes.host_name(asked)
    return any(routes.any_matches(wanted, scheme, name, path) for path in _spellings(flow.request))


def _spellings(request: http.Request) -> Iterator[str]:
    """Give a request's path as it was sent and, if that leads to no route, as it is reported and as servers read it."""
    yield request.path
    shown = entry.path_of(request.data.path[: entry.MAX_FIELD], include_query=True)
    yield shown
    yield routes.plain(shown)


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
