"""Turns a flow into its entry or a reason to skip it, for the addon, its commands, replays and tests."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from mitmproxy import http

from akto_mirror.akto_api import HEALTH_PATH, IGNORE, INGEST_PATH, MARKER, beside
from akto_mirror.capture import body, encoding, entry, headers, hosts, paths, routes, rules, sides, tee
from akto_mirror.capture.body import Body
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.encoding import Captured
from akto_mirror.capture.entry import Exchange
from akto_mirror.capture.headers import HeaderMap
from akto_mirror.capture.sides import Side
from akto_mirror.outcomes import Reason, Skip
from akto_mirror.sampling import noise
from akto_mirror.sampling.features import WEBSOCKET, Head
from akto_mirror.sampling.payloads import Payload, read_json, read_payload
from akto_mirror.sampling.sampler import Look, Sampler
from akto_mirror.snapshots import Account

SAMPLED, CAPPED = Skip(Reason.SAMPLED), Skip(Reason.CAPPED)

# How many characters of a host, a method and a path identify an endpoint; as in the inventory.
MAX_HOST_CHARS = 255
MAX_METHOD_CHARS = 32
MAX_PATH_CHARS = 2_048


class Heads(NamedTuple):
    """The headers of both sides, as `headers.header_map` returns them.

    `is_cut` is whether some were left out because there were too many.
    """

    asked: HeaderMap
    answered: HeaderMap
    is_cut: bool


class Capture:
    """Decides about flows, and makes entries of them.

    Args:
        config: the options that apply here.
        marker: the value of the header `x-akto-mirror` in this process's own requests to Akto.
        before: the previous instance, whose sampling state is taken over.
    """

    def __init__(self, config: CaptureConfig, marker: str, before: Capture | None = None) -> None:
        self._config = config
        self._marker = marker
        self._target = rules.any_of(config.content_types)
        self._sampler: Sampler | None = before._sampler if before else None
        if self._sampler is not None:
            self._sampler.follow(config.sampling)
        elif not config.sampling.is_idle:
            self._sampler = Sampler(config.sampling)

    def of(self, flow: http.HTTPFlow) -> Captured | Skip:
        """Return the entry to send for a flow, or why it is skipped; call `sent` once the entry is queued."""
        response = flow.response
        if response is None:
            return Skip(Reason.NO_RESPONSE)
        heads = self._heads(flow, response)
        skip = self._skip(flow, response, heads)
        if skip is not None:
            return skip
        exchange = self._exchange(flow, response, heads)
        if self._sampler is None or self._config.sampling.is_idle:
            return self._make(flow, response, exchange)
        return self._sample(flow, response, exchange, self._sampler)

    def sent(self, made: Captured) -> None:
        """Record that an entry is queued, so that its features are no longer new."""
        if made.look is not None and self._sampler is not None:
            self._sampler.sent(made.look, len(made.encoded))

    def account(self, most: int) -> Account | None:
        """Return the account of sampling, with at most this many endpoints; None without sampling."""
        return self._sampler.account(most) if self._sampler is not None else None

    def judge(self, flow: http.HTTPFlow) -> Skip | None:
        """Return why a flow would be skipped, regardless of sampling; None if it would be sent."""
        if flow.response is None:
            return Skip(Reason.NO_RESPONSE)
        return self._skip(flow, flow.response, self._heads(flow, flow.response))

    def anyway(self, flow: http.HTTPFlow, response: http.Response) -> Captured:
        """Return the entry of a flow, regardless of the rules."""
        return self._make(flow, response, self._exchange(flow, response, self._heads(flow, response)))

    def _heads(self, flow: http.HTTPFlow, response: http.Response) -> Heads:
        if not flow.live:
            hosts.modernize(flow)
        all_cookies = not self._config.worker
        asked, answered = flow.request.headers.fields, response.headers.fields
        asked_kept, answered_kept = headers.bounded(asked), headers.bounded(answered)
        return Heads(
            headers.header_map(asked_kept, all_cookies=all_cookies),
            headers.header_map(answered_kept, all_cookies=all_cookies),
            asked_kept is not asked or answered_kept is not answered,
        )

    def _skip(self, flow: http.HTTPFlow, response: http.Response, heads: Heads) -> Skip | None:
        asked, answered, _ = heads
        skip = self._unwanted(flow, asked)
        if skip is None and not rules.is_websocket(asked.get("upgrade", "")):
            types = asked.get("content-type", ""), answered.get("content-type", "")
            skip = rules.judge(response.status_code, *types, self._target)
        return skip or self._spared(flow.request, asked)

    def _spared(self, request: http.Request, asked: HeaderMap) -> Skip | None:
        config = self._config
        if config.skip and (found := noise.find(_method(request), _path(request), asked, config.skip)):
            return Skip(Reason.NOISE, found)
        return Skip(Reason.PAUSED) if config.pause else None

    def _sample(
        self, flow: http.HTTPFlow, response: http.Response, exchange: Exchange, sampler: Sampler
    ) -> Captured | Skip:
        read: list[tuple[Side, Side]] = []

        def payloads() -> tuple[Payload, Payload]:
            if plain := self._plain(exchange):
                return plain
            read.append(entry.sides_of(exchange, self._config, response.status_code))
            asked, answered = (side.payload for side in read[0])
            return read_payload(asked.text, asked.content_type), read_payload(answered.text, answered.content_type)

        look = sampler.look(_head(flow, response, exchange), payloads, time.monotonic() if flow.live else exchange.time)
        if not look.wanted or not sampler.may_send(look):
            sampler.leave_out(look)
            return CAPPED if look.wanted else SAMPLED
        return self._make(flow, response, exchange._replace(sides=read[0]) if read else exchange, look)

    def _plain(self, exchange: Exchange) -> tuple[Payload, Payload] | None:
        """Read both payloads from the wire; None unless each is empty, or JSON that the entry would not change."""
        config = self._config
        if config.worker or exchange.is_websocket:
            return None
        answered = sides.plain(exchange.response_body, exchange.response_headers, config.body_limit)
        asked = sides.plain(exchange.request_body, exchange.request_headers, config.body_limit)
        if answered is None or asked is None or (response := read_json(answered)) is None:
            return None
        request = read_json(asked)
        return None if request is None else (request, response)

    def _unwanted(self, flow: http.HTTPFlow, asked: HeaderMap) -> Skip | None:
        config = self._config
        if MARKER in asked and self._leads_to_akto(flow.request.path, is_own=asked[MARKER] == self._marker):
            return Skip(Reason.OWN_CALL)
        if config.routes and not _on_route(flow, asked, config.routes):
            return Skip(Reason.ROUTE)
        if config.filter and not config.filter(flow):
            return Skip(Reason.FILTER)
        if config.honor_ignore and not config.worker and IGNORE in asked:
            return Skip(Reason.IGNORED)
        return None

    def _leads_to_akto(self, path: str, *, is_own: bool) -> bool:
        """Return whether a flow is a request to Akto, also of another proxy's addon, to prevent endless loops.

        A client that adds the header can only hide requests to Akto itself, even if it knows the value.
        """
        ways = {INGEST_PATH, self._config.ingest_path}
        if is_own:
            ways.add(beside(self._config.ingest_path, HEALTH_PATH))
        return path in ways

    def _make(
        self, flow: http.HTTPFlow, response: http.Response, exchange: Exchange, look: Look | None = None
    ) -> Captured:
        worker, draft = self._config.worker, entry.build(flow, response, self._config, exchange)
        if look is not None and look.left_out and not worker:
            made = msgspec.structs.replace(draft.entry, akto_mirror_left_out=str(look.left_out))
            draft = draft._replace(entry=made)
        captured = encoding.fit(draft, worker=worker, is_cut=exchange.is_cut)
        return captured if look is None else captured._replace(look=look)

    def _exchange(self, flow: http.HTTPFlow, response: http.Response, heads: Heads) -> Exchange:
        return Exchange(
            heads.asked,
            heads.answered,
            tee.body_of(flow.request, self._config.body_limit),
            self._response_body(flow, response),
            is_websocket=self._is_websocket(flow, response, heads.asked),
            host=self._host(flow, heads.asked),
            time=_when(flow),
            is_cut=heads.is_cut or len(flow.request.data.path) > encoding.MAX_FIELD,
        )

    def _host(self, flow: http.HTTPFlow, asked: HeaderMap) -> str:
        """Return the host to report: the first of several Host fields; the Worker joins them."""
        header = asked.get("host", "")
        if self._config.host or self._config.worker:
            return self._config.host or hosts.asked(flow, header)
        return hosts.normal(hosts.asked(flow, header.partition(", ")[0]), tls=flow.client_conn.tls)

    def _is_websocket(self, flow: http.HTTPFlow, response: http.Response, asked: HeaderMap) -> bool:
        """Return whether this is a WebSocket, which has no payloads; the Worker trusts the client's header."""
        if not rules.is_websocket(asked.get("upgrade", "")):
            return False
        return self._config.worker or rules.is_handshake(flow.request.method, response.status_code)

    def _response_body(self, flow: http.HTTPFlow, response: http.Response) -> Body:
        """Return what was received of the response body; the Worker treats a truncated one as empty."""
        return body.EMPTY if self._config.worker and flow.error else tee.body_of(response, self._config.body_limit)


def _head(flow: http.HTTPFlow, response: http.Response, exchange: Exchange) -> Head:
    asked, request = exchange.request_headers, flow.request
    return Head(
        host=(exchange.host or asked.get("host", "")).lower()[:MAX_HOST_CHARS],
        method=_method(request)[:MAX_METHOD_CHARS].upper(),
        path=_path(request)[:MAX_PATH_CHARS],
        query=request.data.path[: encoding.MAX_FIELD].partition(b"?")[2].decode("utf-8", "replace"),
        status=response.status_code,
        type=WEBSOCKET if exchange.is_websocket else "",
        request=asked,
        response=exchange.response_headers,
    )


def _method(request: http.Request) -> str:
    return request.data.method.decode("utf-8", "replace")


def _path(request: http.Request) -> str:
    return paths.path_of(request.data.path[: encoding.MAX_FIELD], include_query=False)


def _on_route(flow: http.HTTPFlow, asked: HeaderMap, wanted: tuple[routes.Route, ...]) -> bool:
    host = hosts.asked(flow, asked.get("host", "")) or flow.request.host
    scheme, name = "https" if flow.client_conn.tls else "http", routes.host_name(host)
    return any(routes.any_matches(wanted, scheme, name, path) for path in _spellings(flow.request))


def _spellings(request: http.Request) -> Iterator[str]:
    """Yield a request's path as it was sent, as it is reported, and as servers read it, to be matched in this order."""
    yield request.path
    shown = paths.path_of(request.data.path[: encoding.MAX_FIELD], include_query=True)
    yield shown
    yield routes.plain(shown)


def _when(flow: http.HTTPFlow) -> float:
    """Return when the exchange ended, in epoch seconds; a replayed flow keeps its own time."""
    response, error = flow.response, flow.error
    stamps = (
        response.timestamp_end if response else None,
        error.timestamp if error else None,
        response.timestamp_start if response else None,
        flow.request.timestamp_start,
    )
    for stamp in stamps:
        if stamp is not None and math.isfinite(stamp):
            return stamp
    return time.time()
