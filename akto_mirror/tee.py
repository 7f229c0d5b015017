"""The tee: passes a body's chunks on as they come, and keeps a prefix; and which bodies go through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from mitmproxy import http
from mitmproxy.net.http.http1 import expected_http_body_size

from akto_mirror import body
from akto_mirror.body import Body

Stream = Callable[[bytes], Iterable[bytes] | bytes] | bool

# Content types whose parts are of use one by one, long before the whole has come.
LIVE_TYPES = ("text/event-stream", "grpc", "ndjson", "jsonl", "json-seq", "multipart/x-mixed-replace")


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
    if request.stream or _passes(mode, request.headers, lambda: _request_size(request), limit):
        inner = request.stream or True
        request.stream = Tee(body.prefix_bound(limit), inner, wanted=lambda: flow.response is None)


def attach_to_response(flow: http.HTTPFlow, response: http.Response, mode: Mode, limit: int) -> None:
    """Put a tee on a response's body if it is to pass while it comes, or if somebody else streams it already."""
    if _is_refused(response):
        return
    size = lambda: expected_http_body_size(flow.request, response)  # noqa: E731 - evaluated only where it matters
    if response.stream or _passes(mode, response.headers, size, limit):
        response.stream = Tee(body.prefix_bound(limit), response.stream or True)


def _is_refused(message: http.Message) -> bool:
    """Tell whether another addon has set `stream = False`: until somebody sets it, it is only the class's default."""
    return vars(message).get("stream", True) is False


def _passes(mode: Mode, headers: http.Headers, size: Callable[[], int | None], limit: int) -> bool:
    if mode is not Mode.AUTO:
        return mode is Mode.ALWAYS
    content_type = headers.get("content-type", "").lower()
    if any(live in content_type for live in LIVE_TYPES):
        return True
    try:
        length = size()
    except ValueError:
        return False
    return length is None or length < 0 or length > limit


def _request_size(request: http.Request) -> int | None:
    """Return the announced length; None if it is unknown: HTTP/2 and 3 need not announce even that there is a body."""
    if request.is_http2 or request.is_http3:
        length = request.headers.get("content-length")
        return int(length) if length is not None else None
    return expected_http_body_size(request)


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
