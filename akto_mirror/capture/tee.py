"""The tee: passes a body's chunks on as they arrive, and keeps a prefix. Also decides which bodies are streamed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mitmproxy import http

from akto_mirror.capture import body
from akto_mirror.capture.body import Body
from akto_mirror.capture.config import Mode
from akto_mirror.capture.headers import MAX_HEADER_FIELDS
from akto_mirror.capture.payload.codings import prefix_bound

Stream = Callable[[bytes], Iterable[bytes] | bytes] | bool

# Content types whose parts are useful as soon as they arrive, long before the whole body.
LIVE_TYPES = (b"text/event-stream", b"grpc", b"ndjson", b"jsonl", b"json-seq", b"multipart/x-mixed-replace")
LIVE = re.compile(b"|".join(LIVE_TYPES))

# The longest request that is buffered: the target gets an upload as fast as it reads, not as slowly as the client sends
# it, and if the target refuses it, the client is ready to read the response.
MOST_HELD = 64 * 1024 * 1024

# RFC 9110, section 9.3: content has no meaning in these. Some HTTP/2 clients end a request without content by an empty
# frame after its head; only then is it known whether the head has to announce a body to an HTTP/1 target.
WITHOUT_CONTENT = (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE")


class Tee:
    """A `stream` callable for mitmproxy that keeps the first bytes of what it passes on.

    Args:
        keep: the most bytes to keep.
        inner: the callable that another addon had set as `stream`; its output is passed on and kept.
        wanted: returns the truth value of the tee, by which mitmproxy decides, after all hooks, whether to stream.
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
        """Return the kept prefix; it is complete only if the body has ended and is not longer."""
        return Body(bytes(self._prefix), complete=self._ended and self._seen == len(self._prefix))

    def _note(self, chunk: bytes) -> None:
        self._seen += len(chunk)
        if (room := self._keep - len(self._prefix)) > 0:
            self._prefix += chunk[:room]

    def _noted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._note(chunk)
            yield chunk


class Rule(NamedTuple):
    """Decides which bodies are streamed.

    Attributes:
        mode: the value of `akto_stream`.
        limit: bytes of a body that are kept; in `auto`, shorter ones are not streamed.
        bounded: whether `body_size_limit` is set: bodies of unknown length are not streamed then.
    """

    mode: Mode
    limit: int
    bounded: bool = False


def attach_to_request(flow: http.HTTPFlow, rule: Rule) -> None:
    """Attach a tee to a request's body if it has to be streamed, or if another addon streams it already.

    A response that another addon sets in `requestheaders` prevents streaming: mitmproxy does not support both.
    """
    request = flow.request
    if _is_refused(request):
        return
    if request.stream or (not _is_left_to_mitmproxy(request, rule) and _request_passes(request, rule)):
        inner = request.stream or True
        request.stream = Tee(prefix_bound(rule.limit), inner, wanted=lambda: flow.response is None)


def attach_to_response(flow: http.HTTPFlow, response: http.Response, rule: Rule) -> None:
    """Attach a tee to a response's body if it has to be streamed, or if another addon streams it already."""
    if _is_refused(response):
        return
    if response.stream or (
        not _is_left_to_mitmproxy(response, rule) and _response_passes(flow.request, response, rule)
    ):
        response.stream = Tee(prefix_bound(rule.limit), response.stream or True)


def _is_refused(message: http.Message) -> bool:
    """Return whether another addon has set `stream = False` on the message, instead of the class's default."""
    return vars(message).get("stream", True) is False


def _is_left_to_mitmproxy(message: http.Message, rule: Rule) -> bool:
    """Return whether streaming is off, or a head has more header fields than are read here."""
    return rule.mode is Mode.NEVER or len(message.headers.fields) > MAX_HEADER_FIELDS


class _Framing(NamedTuple):
    """A body's type, its announced length, and whether a transfer coding makes the length unknown.

    `upgrade` is whether the client asks for another protocol.
    """

    content_type: bytes
    length: bytes | None
    coded: bool
    upgrade: bool

    @property
    def is_open(self) -> bool:
        """Return whether the body's length is unknown."""
        return self.coded or self.length is None

    @property
    def is_live(self) -> bool:
        """Return whether the body's parts are useful as soon as they arrive."""
        return LIVE.search(self.content_type) is not None


def _framing(fields: Iterable[tuple[bytes, bytes]]) -> _Framing:
    """Read the headers in one pass: mitmproxy's look-ups took most of a hook's time."""
    content_type, length, coded, upgrade = b"", None, False, False
    for name, value in fields:
        size = len(name)
        if size == 12 and name.lower() == b"content-type":
            content_type = value.lower()
        elif size == 14 and name.lower() == b"content-length":
            length = value
        elif size == 17 and name.lower() == b"transfer-encoding":
            coded = True
        elif size == 7 and name.lower() == b"upgrade":
            upgrade = True
    return _Framing(content_type, length, coded, upgrade)


def _request_passes(request: http.Request, rule: Rule) -> bool:
    """RFC 9112, section 6.3: a request of HTTP/1 that announces no body has none; HTTP/2 and 3 need not announce it.

    One that asks for another protocol stays with mitmproxy, which in its `request` hook forbids HTTP/2 in clear text:
    the connection would turn into an uninspected tunnel.
    """
    framing = _framing(request.headers.fields)
    if framing.upgrade or (rule.bounded and framing.is_open):
        return False
    announces_nothing = framing.length is None and not framing.coded
    if announces_nothing and request.data.method in WITHOUT_CONTENT:
        return False
    if rule.mode is Mode.ALWAYS:
        return True
    if announces_nothing:
        return request.is_http2 or request.is_http3
    return _passes(framing, MOST_HELD)


def _response_passes(request: http.Request, response: http.Response, rule: Rule) -> bool:
    """RFC 9112, section 6.3: a response of unknown length goes on to the end of the connection."""
    framing = _framing(response.headers.fields)
    if framing.is_open and rule.bounded:
        return False
    if rule.mode is Mode.ALWAYS:
        return True
    status, method = response.status_code, request.data.method
    if status < 200 or status in (204, 304) or method == b"HEAD" or (method == b"CONNECT" and status < 300):
        return False
    return _passes(framing, rule.limit)


def _passes(framing: _Framing, limit: int) -> bool:
    if framing.coded or framing.length is None or framing.is_live:
        return True
    try:
        return int(framing.length) > limit
    except ValueError:
        return False


def body_of(message: http.Message, limit: int) -> Body:
    """Return the prefix of a message's body, from the tee or from mitmproxy's memory."""
    if message.raw_content is None and isinstance(message.stream, Tee):
        return message.stream.body()
    return body.snapshot(message.raw_content, limit)


def detach(message: http.Message) -> None:
    """Detach a tee at the end; a completely kept body is given back to mitmproxy, to be viewed and saved."""
    if not isinstance(message.stream, Tee):
        return
    kept = message.stream.body()
    if message.raw_content is None and kept.complete:
        message.raw_content = kept.prefix
    message.stream = message.stream.inner
