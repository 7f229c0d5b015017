"""Entries of HAR files."""

from __future__ import annotations

from typing import Any

from mitmproxy import http

from akto_mirror.replay.har import flows

JSON = {"name": "Content-Type", "value": "application/json"}


def har_entry(request: dict[str, Any] | None = None, response: dict[str, Any] | None = None, **more: Any) -> Any:
    """Make an entry of a HAR file."""
    asked = {"method": "GET", "url": "https://api.example.com/a?b=1#c", "httpVersion": "HTTP/1.1", "headers": []}
    answer = {
        "status": 200,
        "statusText": "Fine",
        "httpVersion": "HTTP/1.1",
        "headers": [JSON],
        "content": {"text": '{"ok":1}'},
    }
    whole = {"startedDateTime": "2024-05-01T10:00:00.000Z", "time": 500, "request": asked | (request or {})}
    return whole | {"response": answer | (response or {})} | more


def read(*args: Any, **more: Any) -> http.HTTPFlow:
    """Read an entry, which must be an HTTP exchange."""
    found = flows.read_entry(har_entry(*args, **more)).flow
    assert found
    return found
