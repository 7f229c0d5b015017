"""Entries built from flows, in both fidelities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mitmproxy import http

from akto_mirror.akto_api import Entry
from akto_mirror.capture import body, entry
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.entry import Exchange
from akto_mirror.capture.headers import header_map
from tests.support.flows import TIME, flow

AKTO = CaptureConfig(
    worker=False,
    account_id="1000000",
    vxlan_id="0",
    tag='{"service": "mitmproxy"}',
    host="",
    client_ip_header="cf-connecting-ip",
    include_query=False,
    body_limit=65536,
)


WORKER = replace(AKTO, worker=True)


def build(shape: CaptureConfig, made: http.HTTPFlow | None = None, **changes: Any) -> Entry:
    """Build the entry of a flow; facts outside the flow are those of a plain exchange, except for `changes`."""
    made = made or flow()
    assert made.response
    cookies = not shape.worker
    exchange = Exchange(
        request_headers=header_map(made.request.headers.fields, all_cookies=cookies),
        response_headers=header_map(made.response.headers.fields, all_cookies=cookies),
        request_body=body.snapshot(made.request.raw_content, shape.body_limit),
        response_body=body.snapshot(made.response.raw_content, shape.body_limit),
        is_websocket=False,
        host="",
        time=TIME,
    )
    return entry.build(made, made.response, shape, exchange._replace(**changes)).entry
