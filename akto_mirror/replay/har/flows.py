"""Turns the entries of HAR files into flows, each separately.

mitmproxy reads HAR files too, but a single unexpected entry (a `data:` URL, a form without its text, an unknown coding,
a truncated body) makes it refuse the whole file; version 12 removes `content-encoding` from the headers, both versions
add a `content-length`, and pseudo-headers of HTTP/2 stay among the headers. Here the result is the flow that would
have passed through a proxy: with the recorded headers, and bodies in their content coding.

The format is HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), with the deviations of Chrome, Firefox,
Playwright, HTTP Toolkit, sitespeed.io and mitmproxy.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from mitmproxy import connection, flow, http

from akto_mirror.replay.har import headers, times, values
from akto_mirror.replay.har.attachments import Attachments
from akto_mirror.replay.har.bodies import Bodies
from akto_mirror.replay.har.headers import Fields

# Schemes of HTTP exchanges, with their default ports. Browsers also list URLs that are not sent over the network.
HTTP_SCHEMES = {"http": 80, "ws": 80, "https": 443, "wss": 443}
TLS_SCHEMES = frozenset({"https", "wss"})
WEBSOCKET_SCHEMES = frozenset({"ws", "wss"})

# A host and a port, which look like a scheme and a path.
HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(?:[/?]|$)")

UPGRADE: Fields = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]


class EntryError(ValueError):
    """An entry cannot be read; the text says why."""


class Exchange(NamedTuple):
    """The result of reading an entry.

    Attributes:
        flow: the exchange; None if it is not HTTP, such as a `data:` URL.
        notes: parts of it that could not be read.
    """

    flow: http.HTTPFlow | None
    notes: tuple[str, ...] = ()


def flows(elements: Iterable[bytes], attachments: Attachments | None = None) -> Iterator[Exchange | EntryError]:
    """Yield the result of each entry of a HAR file, or its error.

    Args:
        elements: the entries, each as its JSON.
        attachments: the files with bodies that they may refer to.
    """
    for number, element in enumerate(elements, start=1):
        try:
            found = read_entry(json.loads(element.decode("utf-8", "replace"), strict=False), attachments)
        except RecursionError:
            yield EntryError(f"entry {number}: nested too deeply")
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            yield EntryError(f"entry {number}: {error}")
        else:
            yield found._replace(notes=tuple(f"entry {number}: {note}" for note in found.notes))


def read_entry(entry: Any, attachments: Attachments | None = None) -> Exchange:
    """Turn one entry of a HAR file into a flow.

    A body that the file does not contain is None in the flow. A status of 0 means an exchange without a response. A
    missing time is NaN.

    Raises:
        ValueError: the entry is invalid; the text says why.
    """
    given = values.mapping(entry)
    request, response = values.mapping(given.get("request")), values.mapping(given.get("response"))
    url = _address(request)
    if url.scheme not in HTTP_SCHEMES:
        return Exchange(None)
    start, bodies = times.start(given.get("startedDateTime")), Bodies(attachments)
    made = http.HTTPFlow(_client(start, tls=url.scheme in TLS_SCHEMES), connection.Server(address=None))
    made.request = _request(request, url, bodies, start)
    if _is_websocket(given, url) and "upgrade" not in made.request.headers:
        made.request.headers.fields += tuple(UPGRADE)
    if status := _status(response):
        end = start + times.seconds(given.get("time"))
        made.response = _response(response, bodies, made.request.method, status, end)
        made.response.timestamp_start = start
    else:
        reason = values.line(response.get("_error")) or "no response"
        made.error = flow.Error(reason, start if math.isfinite(start) else 0.0)
    return Exchange(made, tuple(bodies.notes))


def _address(request: Mapping[str, Any]) -> SplitResult:
    text = values.line(request.get("url")).partition("#")[0]
    if not text:
        raise EntryError("an entry without the request's url")
    url = urlsplit(text)
    is_relative = not url.scheme or (url.scheme in HTTP_SCHEMES and not url.hostname)
    if is_relative or (url.scheme not in HTTP_SCHEMES and HOST_AND_PORT.match(text)):
        raise EntryError(f"its URL is not absolute: {text}")
    return url


def _is_websocket(given: Mapping[str, Any], url: SplitResult) -> bool:
    return url.scheme in WEBSOCKET_SCHEMES or given.get("_resourceType") == "websocket"


def _client(start: float, *, tls: bool) -> connection.Client:
    return connection.Client(peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=start, tls=tls)


def _request(given: Mapping[str, Any], url: SplitResult, bodies: Bodies, start: float) -> http.Request:
    fields, pseudo = headers.read(given.get("headers"))
    headers.add_type(fields, values.mapping(given.get("postData")).get("mimeType"))
    content = bodies.of_request(given, fields)
    target = url.path + (f"?{url.query}" if url.query else "")
    return http.Request(
        host=url.hostname or "",
        port=_port(url.netloc) or HTTP_SCHEMES[url.scheme],
        method=values.encoded(values.line(given.get("method")) or "GET"),
        scheme=b"https" if url.scheme in TLS_SCHEMES else b"http",
        authority=pseudo.get(b":authority") or values.encoded(url.netloc.rpartition("@")[2]),
        path=values.encoded(target if target.startswith("/") else f"/{target}"),
        http_version=_version(given.get("httpVersion")),
        headers=http.Headers(fields),
        content=content,
        trailers=None,
        timestamp_start=start,
        timestamp_end=start,
    )


def _response(given: Mapping[str, Any], bodies: Bodies, method: str, status: int, end: float) -> http.Response:
    fields, _ = headers.read(given.get("headers"))
    headers.add_type(fields, values.mapping(given.get("content")).get("mimeType"))
    return http.Response(
        http_version=_version(given.get("httpVersion")),
        status_code=status,
        reason=values.encoded(values.line(given.get("statusText"))),
        headers=http.Headers(fields),
        content=bodies.of_response(given, fields, method, status),
        trailers=None,
        timestamp_start=end,
        timestamp_end=end,
    )


def _status(response: Mapping[str, Any]) -> int:
    """Return the status code; 0 if there is none, as programs write it for a blocked or failed exchange.

    Raises:
        ValueError: it is infinite.
    """
    try:
        status = int(response.get("status") or 0)
    except OverflowError:
        raise EntryError("a status that is not a number") from None
    except (TypeError, ValueError):
        return 0
    return status if 100 <= status <= 999 else 0


def _version(given: Any) -> bytes:
    """Return mitmproxy's spelling of `h2`, `http/2.0`, `HTTP/2` and the like."""
    digit = next((char for char in values.text(given) if char.isdigit()), "")
    return {"2": b"HTTP/2.0", "3": b"HTTP/3"}.get(digit, b"HTTP/1.1")


def _port(netloc: str) -> int | None:
    port = re.search(r":(\d{1,5})$", netloc)
    return int(port[1]) if port else None
