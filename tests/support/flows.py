"""Flows as mitmproxy hands them to an addon, without a proxy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test.tflow import tclient_conn, tflow, tserver_conn

Fields = Iterable[tuple[bytes, bytes]]
JSON = ((b"content-type", b"application/json"),)

# The end of these flows' responses, in epoch seconds.
TIME = 1_700_000_000.9


def request(
    method: bytes = b"GET",
    path: bytes = b"/api/items",
    *,
    fields: Fields = ((b"Host", b"api.example.com"),),
    content: bytes | None = b"",
    version: bytes = b"HTTP/1.1",
    authority: bytes = b"",
) -> http.Request:
    """Make a request to `target.internal:8080`."""
    return http.Request(
        host="target.internal",
        port=8080,
        method=method,
        scheme=b"http",
        authority=authority,
        path=path,
        http_version=version,
        headers=http.Headers(list(fields)),
        content=content,
        trailers=None,
        timestamp_start=TIME - 0.4,
        timestamp_end=TIME - 0.3,
    )


def response(
    status: int = 200,
    reason: bytes = b"OK",
    *,
    fields: Fields = JSON,
    content: bytes | None = b'{"ok":true}',
    ended: float | None = TIME,
) -> http.Response:
    """Make a response that ended at `ended`."""
    return http.Response(
        http_version=b"HTTP/1.1",
        status_code=status,
        reason=reason,
        headers=http.Headers(list(fields)),
        content=content,
        trailers=None,
        timestamp_start=TIME - 0.1,
        timestamp_end=ended,
    )


def flow(
    asked: http.Request | None = None,
    answer: http.Response | None = None,
    *,
    mode: str = "regular",
    live: bool = True,
    peer: Any = ("192.0.2.7", 50000),
) -> http.HTTPFlow:
    """Make a complete exchange; `mode` is the proxy mode of its client connection."""
    client, server = tclient_conn(), tserver_conn()
    client.proxy_mode = ProxyMode.parse(mode)
    client.peername = peer
    client.tls = False
    server.address = ("target.internal", 8080)
    server.tls = False
    return tflow(client_conn=client, server_conn=server, req=asked or request(), resp=answer or response(), live=live)
