"""HAR files as flows, each entry by itself.

mitmproxy reads HAR files too, but one entry that it does not expect (a `data:` address, a form without its text, a
coding without decoder, a body that was cut) makes it refuse the whole file; version 12 takes `content-encoding` out of
the headers, both versions add a `content-length`, and pseudo-headers of HTTP/2 stay among the headers. Here a flow
comes out as it would have passed a proxy: with the headers as recorded and bodies in their content coding.

The format is HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/) and what Chrome, Firefox, HTTP Toolkit and
mitmproxy make of it.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import brotlicffi
import zstandard
from mitmproxy import connection, flow, http

from akto_mirror.capture.body import MAX_CODINGS, content_codings

Headers = list[tuple[bytes, bytes]]

# What else than HTTP browsers list: addresses of which nothing ever goes over the network.
HTTP_SCHEMES = {"http": 80, "ws": 80, "https": 443, "wss": 443}
TLS_SCHEMES = frozenset({"https", "wss"})

NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
URL_SAFE = str.maketrans("-_", "+/")

# How bodies begin that are still in their coding, which a HAR file holds only where its maker could not decode them.
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}

# At their fastest: what is coded here is decoded again at once.
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, 1, mtime=0),
    "deflate": lambda content: zlib.compress(content, 1),
    "br": lambda content: bytes(brotlicffi.compress(content, quality=1)),
    "zstd": zstandard.ZstdCompressor(1).compress,
}


def parse(data: bytes) -> list[Any]:
    """Return the entries of a HAR file, not looked at yet.

    Args:
        data: the whole file, in any of JSON's encodings, with a byte order mark or without.

    Raises:
        ValueError: it is no HAR file, or not the whole of one.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"not a whole HAR file: {_brief(fault)}; export it again") from fault
    log = _mapping(_mapping(document).get("log"))
    entries = log.get("entries")
    if not isinstance(entries, list):
        raise ValueError("JSON, but not a HAR file: it has no list log.entries")
    return entries


def _brief(fault: Exception) -> str:
    return "nested too deeply" if isinstance(fault, RecursionError) else str(fault)


def read_entry(entry: Any) -> http.HTTPFlow | None:
    """Make a flow of one entry of a HAR file; None of one that is no HTTP exchange, such as a `data:` address.

    A body that the file does not hold is None in the flow. A status of 0 stands for an exchange without response. A
    missing time is NaN, for which the time of the replay is taken.

    Raises:
        ValueError: saying what is wrong with it.
    """
    given = _mapping(entry)
    request, response = _mapping(given.get("request")), _mapping(given.get("response"))
    url = urlsplit(_text(request.get("url")).partition("#")[0])
    if not url.scheme:
        raise ValueError("an entry without the request's url")
    if url.scheme not in HTTP_SCHEMES:
        return None
    start = _start(given.get("startedDateTime"))
    made = http.HTTPFlow(_client(start, tls=url.scheme in TLS_SCHEMES), connection.Server(address=None))
    made.request = _request(request, start)
    if _status(response):
        made.response = _response(response, start, start + _seconds(given.get("time")))
    else:
        reason = _text(response.get("_error")) or "no response"
        made.error = flow.Error(reason, start if math.isfinite(start) else 0.0)
    return made


def _client(start: float, *, tls: bool) -> connection.Client:
    return connection.Client(peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=start, tls=tls)


def _request(given: Mapping[str, Any], start: float) -> http.Request:
    url = urlsplit(_text(given.get("url")).partition("#")[0])
    fields, pseudo = _headers(given.get("headers"))
    target = url.path + (f"?{url.query}" if url.query else "")
    return http.Request(
        host=url.hostname or "",
        port=_port(url.netloc) or HTTP_SCHEMES[url.scheme],
        method=_bytes(_text(given.get("method")) or "GET"),
        scheme=b"https" if url.scheme in TLS_SCHEMES else b"http",
        authority=pseudo.get(b":authority") or _bytes(url.netloc.rpartition("@")[2]),
        path=_bytes(target if target.startswith("/") else f"/{target}"),
        http_version=_version(given.get("httpVersion")),
        headers=http.Headers(fields),
        content=_coded(_request_body(given), fields),
        trailers=None,
        timestamp_start=start,
        timestamp_end=start,
    )


def _response(given: Mapping[str, Any], start: float, end: float) -> http.Response:
    fields, _ = _headers(given.get("headers"))
    return http.Response(
        http_version=_version(given.get("httpVersion")),
        status_code=_status(given),
        reason=_bytes(_text(given.get("statusText"))),
        headers=http.Headers(fields),
        content=_coded(_content(given.get("content")), fields),
        trailers=None,
        timestamp_start=start,
        timestamp_end=end,
    )


def _request_body(given: Mapping[str, Any]) -> bytes | None:
    """Return the body from where makers put it: Chrome leaves out a form's text at times, HTTP Toolkit has binaries."""
    posted = _mapping(given.get("postData"))
    if "text" in posted:
        return _content(posted)
    if posted.get("params") and "urlencoded" in _text(posted.get("mimeType")):
        pairs = [(_text(_mapping(item).get("name")), _text(_mapping(item).get("value"))) for item in posted["params"]]
        return urlencode(pairs, errors="replace").encode()
    return _content(given.get("_content"))


def _content(given: Any) -> bytes | None:
    """Return the bytes of a `content` object; None if it holds none, be it too large or never asked for."""
    content = _mapping(given)
    if content.get("text") is None:
        return None
    text = _text(content["text"])
    return _unbase64(text) if content.get("encoding") == "base64" else _bytes(text)


def _unbase64(text: str) -> bytes:
    """Decode what is there: a body that its maker cut may end in the middle of a group."""
    kept = NOT_BASE64.sub("", text.translate(URL_SAFE))
    whole = kept[: len(kept) - (len(kept) % 4 == 1)]
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


def _coded(content: bytes | None, fields: Headers) -> bytes | None:
    """Put a body back into the codings that its headers name: HAR files hold bodies decoded.

    More codings than are undone later would only cost time.
    """
    codings = _codings(fields)
    if not content or len(codings) > MAX_CODINGS:
        return content
    magic = MAGIC.get(codings[-1]) if codings else None
    if magic and content.startswith(magic):
        return content
    for name in codings:
        content = ENCODERS[name](content) if name in ENCODERS else content
    return content


def _codings(fields: Headers) -> list[str]:
    value = b",".join(value for name, value in fields if name.lower() == b"content-encoding").decode("latin-1")
    return [name.removeprefix("x-") for name in content_codings(value)]


def _headers(given: Any) -> tuple[Headers, dict[bytes, bytes]]:
    """Return the header fields, and apart from them the pseudo-headers of HTTP/2 and 3 that makers list among them."""
    fields: Headers = []
    pseudo: dict[bytes, bytes] = {}
    for item in given if isinstance(given, list) else []:
        name, value = _pair(item)
        if name.startswith(":"):
            pseudo[_bytes(name)] = _bytes(value)
        elif name:
            # Chrome's protocol joins the values of one name by line breaks, which no value can hold.
            fields.extend((_bytes(name), _bytes(line)) for line in value.split("\n"))
    return fields, pseudo


def _pair(item: Any) -> tuple[str, str]:
    """Return a name and a value, which some makers give as a list of two."""
    if isinstance(item, list):
        return (_text(item[0]), _text(item[1])) if len(item) == 2 else ("", "")
    return _text(_mapping(item).get("name")), _text(_mapping(item).get("value"))


def _start(given: Any) -> float:
    """Return epoch seconds; a time without a zone is UTC."""
    try:
        when = datetime.fromisoformat(_text(given))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _seconds(given: Any) -> float:
    """Return how long an exchange took; makers write -1 or null where they do not know.

    Raises:
        ValueError: no computer could have measured it.
    """
    known = isinstance(given, int | float) and 0 < given < math.inf
    try:
        return given / 1000 if known else 0.0
    except OverflowError:
        raise ValueError("a time that is no number of milliseconds") from None


def _status(response: Mapping[str, Any]) -> int:
    """Return the status code; 0, as makers write it for a blocked or broken exchange, if there is none.

    Raises:
        ValueError: it is infinite.
    """
    try:
        status = int(response.get("status") or 0)
    except OverflowError:
        raise ValueError("a status that is no number") from None
    except (TypeError, ValueError):
        return 0
    return status if 100 <= status <= 999 else 0


def _version(given: Any) -> bytes:
    """Return mitmproxy's spelling of `h2`, `http/2.0`, `HTTP/2` and the like."""
    digit = next((char for char in _text(given) if char.isdigit()), "")
    return {"2": b"HTTP/2.0", "3": b"HTTP/3"}.get(digit, b"HTTP/1.1")


def _port(netloc: str) -> int | None:
    port = re.search(r":(\d{1,5})$", netloc)
    return int(port[1]) if port else None


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else {}


def _text(given: Any) -> str:
    return given if isinstance(given, str) else "" if given is None else str(given)


def _bytes(text: str) -> bytes:
    """Encode as UTF-8; half of a surrogate pair, which JSON can spell, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def flows(entries: list[Any]) -> Iterator[http.HTTPFlow | ValueError | None]:
    """Yield for each entry its flow, None if it is no HTTP exchange, or what is wrong with it."""
    for number, entry in enumerate(entries, start=1):
        try:
            yield read_entry(entry)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as fault:
            yield ValueError(f"entry {number}: {_brief(fault)}")
