"""The Worker's way, carried over line by line: an entry of each flow, and at once a POST of its own for it.

This is what the addon is measured against, not something to use. It is given every advantage that keeps the Worker's
behaviour: kept-alive connections, no log lines, no time-out, so that nothing it sends is lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time

import httpx
from mitmproxy import http

TARGETS = ("json", "xml", "x-www-form-urlencoded", "soap", "grpc")
LIMIT = 64 * 1024


class PostEachFlow:
    """Posts to `BENCH_INGESTION_URL`."""

    def __init__(self) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._url = os.environ["BENCH_INGESTION_URL"] + "/api/ingestData"
        self._client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113 - the Worker has no time-out
        self._under_way: set[asyncio.Task[None]] = set()

    def response(self, flow: http.HTTPFlow) -> None:
        """Start a POST and go on, as `ctx.waitUntil` does."""
        task = asyncio.create_task(self._log_traffic(flow))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _log_traffic(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None and _is_wanted(flow.request, flow.response):
            batch = {"batchData": [_entry(flow.request, flow.response)]}
            await self._client.post(self._url, json=batch)


def _is_wanted(request: http.Request, response: http.Response) -> bool:
    types = request.headers.get("content-type", "") + response.headers.get("content-type", "")
    return 200 <= response.status_code < 400 and any(target in types.lower() for target in TARGETS)


def _entry(request: http.Request, response: http.Response) -> dict[str, str]:
    return {
        "path": request.path.partition("?")[0],
        "method": request.method,
        "requestHeaders": json.dumps(dict(request.headers)),
        "responseHeaders": json.dumps(dict(response.headers)),
        "requestPayload": (request.content or b"")[:LIMIT].decode("utf-8", "replace"),
        "responsePayload": (response.content or b"")[:LIMIT].decode("utf-8", "replace"),
        "ip": request.headers.get("cf-connecting-ip") or "127.0.0.1",
        "time": str(int(time.time())),
        "statusCode": str(response.status_code),
        "type": "HTTP/1.1",
        "status": response.reason or "OK",
        "akto_account_id": "1000000",
        "akto_vxlan_id": "0",
        "is_pending": "false",
        "source": "MIRRORING",
        "tag": '{\n  "service": "cloudflare"\n}',
    }


addons = [PostEachFlow()]
