"""Formats entries as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), for browsers' tools (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from akto_mirror.ingestion.entries.fields import is_grpc
from akto_mirror.ingestion.entries.reading import clean, read_headers, seconds_of
from akto_mirror.ingestion.entries.urls import url_of

HEAD = b'{"log":{"version":"1.2","creator":{"name":"akto-mirror","version":"1"},"entries":[\n'
TAIL = b"\n]}}\n"
# 9999-12-31, the last day that a date can have.
LAST_SECOND = 253_402_214_400


def document(entries: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a HAR file in pieces, one for each entry.

    Args:
        entries: As JSON.
    """
    yield HEAD
    for number, entry in enumerate(entries):
        yield (b",\n" if number else b"") + msgspec.json.encode(har_entry(msgspec.json.decode(entry)))
    yield TAIL


def har_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as an element of `log.entries`; unknown sizes and durations are -1."""
    return {
        "startedDateTime": _time(seconds_of(entry)),
        "time": 0,
        "request": _request(entry),
        "response": _response(entry),
        "cache": {},
        "timings": {"send": -1, "wait": -1, "receive": -1},
        **({"serverIPAddress": address} if (address := clean(entry.get("destIp"))) else {}),
    }


def _request(entry: Mapping[str, Any]) -> dict[str, Any]:
    headers, payload = read_headers(entry.get("requestHeaders")), clean(entry.get("requestPayload"))
    url = url_of(entry)
    made = _message(headers) | {
        "method": clean(entry.get("method")) or "GET",
        "url": url,
        "queryString": _pairs(parse_qsl(url.partition("?")[2], keep_blank_values=True, max_num_fields=None)),
        "bodySize": len(payload.encode()),
    }
    if payload:
        media = headers.get("content-type", "")
        # The format does not support bytes here; the encoding is given as in `content`, where tools look for it.
        made["postData"] = {"mimeType": media, "text": payload} | ({"encoding": "base64"} if is_grpc(media) else {})
    return made


def _response(entry: Mapping[str, Any]) -> dict[str, Any]:
    headers, payload = read_headers(entry.get("responseHeaders")), clean(entry.get("responsePayload"))
    media, status = headers.get("content-type", ""), clean(entry.get("statusCode"))
    content: dict[str, Any] = {"size": len(payload.encode()), "mimeType": media, "text": payload}
    if is_grpc(media):
        content["encoding"] = "base64"
    return _message(headers) | {
        "status": int(status) if status.isascii() and status.isdigit() and len(status) == 3 else 0,
        "statusText": clean(entry.get("status")),
        "content": content,
        "redirectURL": headers.get("location", ""),
        "bodySize": -1,
    }


def _message(headers: Mapping[str, str]) -> dict[str, Any]:
    return {"httpVersion": "HTTP/1.1", "cookies": [], "headers": _pairs(headers.items()), "headersSize": -1}


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(min(seconds, LAST_SECOND), UTC).isoformat().replace("+00:00", ".000Z")
