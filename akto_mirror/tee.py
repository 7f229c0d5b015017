"""The tee: passes a body's chunks on as they come, and keeps a prefix; and which bodies go through it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from mitmproxy import http

from akto_mirror import body
from akto_mirror.body import Body

Stream = Callable[[bytes], Iterable[bytes] | bytes] | bool

# Content types whose parts are of use one by one, long before the whole has come.
LIVE_TYPES = (b"text/event-stream", b"grpc", b"ndjson", b"jsonl", b"json-seq", b"multipart/x-mixed-replace")
LIVE = re.compile(b"|".join(LIVE_TYPES))


class Mode(StrEnum):
    """What `akto_stream` may be."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Tee:
    """A `stream` callable for mitmproxy that keeps the first bytes of what it passes on.

    Args:
        keep: bytes to keep at most.
        inner: what another addon had set as `stream`; its output is what goes on and what is kept.
        wanted: gives the truth value, by which mitmproxy asks whether to stream once every addon has had its say.
    """

    def __init__(self, keep: int, inner: Stream = True, wanted: Callable[[], bool] = lambda: True) -> None:
        self._keep = keep
        self.inner = inner
        self._wanted = wanted
        self._prefix = bytearray()
        self._seen = 0
        self._ended = False

    def __bool__(self) -> bool:
        return self._wanted()

    def __call__(self, chunk: bytes) -> Iterable[bytes] | bytes:
        """Pass a chunk on; mitmproxy marks the end with an empty one."""
        out = self.inner(chunk) if callable(self.inner) else chunk
        self._ended = not chunk
        if isinstance(out, bytes):
            self._note(out)
            return out
        return self._noted(out)

    def body(self) -> Body:
        """Return what was kept; complete only if the body came to its end and is not longer than that."""
        return Body(bytes(self._prefix), complete=self._ended and self._seen == len(self._prefix))

    def _note(self, chunk: bytes) -> None:
        self._seen += len(chunk)
        if (room := self._keep - len(self._prefix)) > 0:
            self._prefix += chunk[:room]

    def _noted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._note(chunk)
            yield chunk


def attach_to_request(flow: http.HTTPFlow, mode: Mode, limit: int) -> None:
    """Put a tee on a request's body if it is to pass while it comes, or if somebody else streams it already.

    An answer that another addon gives in `requestheaders` ends the streaming: mitmproxy cannot have both.
    """
    request = flow.request
    if _is_refused(request):
        return
    if request.stream or (mode is not Mode.NEVER and (mode is Mode.ALWAYS or _request_passes(request, limit))):
        inner = request.stream or True
        request.stream = Tee(body.prefix_bound(limit), inner, wanted=lambda: flow.response is None)


def attach_to_response(flow: http.HTTPFlow, response: http.Response, mode: Mode, limit: int) -> None:
    """Put a tee on a response's body if it is to pass while it comes, or if somebody else streams it already."""
    if _is_refused(response):
        return
    if response.stream or (
        mode is not Mode.NEVER and (mode is Mode.ALWAYS or _response_passes(flow.request, response, limit))
    ):
        response.stream = Tee(body.prefix_bound(limit), response.stream or True)


def _is_refused(message: http.Message) -> bool:
    """Tell whether another addon has set `stream = False`: until somebody sets it, it is only the class's default."""
    return vars(message).get("stream", True) is False


class _Framing(NamedTuple):
    """What headers say of a body: its type, its length if announced, and whether a transfer coding hides that."""

    content_type: bytes
    length: bytes | None
    coded: bool


def _framing(fields: Iterable[tuple[bytes, bytes]]) -> _Framing:
    """Read the three headers in one pass: by mitmproxy's look-ups they took most of a hook's time."""
    content_type, length, coded = b"", None, False
    for name, value in fields:
        size = len(name)
        if size == 12 and name.lower() == b"content-type":
            content_type = value.lower()
        elif size == 14 and name.lower() == b"content-length":
            length = value
        elif size == 17 and name.lower() == b"transfer-encoding":
            coded = True
    return _Framing(content_type, length, coded)


def _request_passes(request: http.Request, limit: int) -> bool:
    """RFC 9112, section 6.3: a request of HTTP/1 that announces no body has none; HTTP/2 and 3 need not announce it."""
    framing = _framing(request.headers.fields)
    if framing.length is None and not framing.coded:
        return request.is_http2 or request.is_http3
    return _passes(framing, limit)


def _response_passes(request: http.Request, response: http.Response, limit: int) -> bool:
    """RFC 9112, section 6.3: a response of unknown length goes on to the end of the connection."""
    status, method = response.status_code, request.data.method
    if status < 200 or status in (204, 304) or method == b"HEAD" or (method == b"CONNECT" and status < 300):
        return False
    return _passes(_framing(response.headers.fields), limit)


def _passes(framing: _Framing, limit: int) -> bool:
    if framing.coded or framing.length is None or LIVE.search(framing.content_type):
        return True
    try:
        return int(framing.length) > limit
    except ValueError:
        return False


def body_of(message: http.Message, limit: int) -> Body:
    """Return the prefix of a message's body, from the tee or from what mitmproxy holds."""
    if message.raw_content is None and isinstance(message.stream, Tee):
        return message.stream.body()
    return body.snapshot(message.raw_content, limit)


def detach(message: http.Message) -> None:
    """Let go of a tee that has served; a body that it kept whole is given to mitmproxy, for its screens and files."""
    if not isinstance(message.stream, Tee):
        return
    kept = message.stream.body()
    if message.raw_content is None and kept.complete:
        message.raw_content = kept.prefix
    message.stream = message.stream.inner
