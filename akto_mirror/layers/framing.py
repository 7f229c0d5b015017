"""Frames request bodies of HTTP/2 and HTTP/3 that have no length, for HTTP/1 targets.

mitmproxy forwards such a body without any framing (`Http1Client.send` in mitmproxy/proxy/layers/http/_http1.py), so
that the target reads it as the next request (RFC 9112, section 6.3). Here a buffered body gets a `content-length`, and
a streamed one is sent in chunks. A request that announces no body but has not ended may turn out to have none; then
nothing is framed, because some servers refuse the chunks of an empty body.
"""

from __future__ import annotations

from typing import TypeVar

from mitmproxy.connection import Connection, Server
from mitmproxy.http import Request
from mitmproxy.proxy.commands import Command
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import SendHttp, is_h3_alpn
from mitmproxy.proxy.layers.http._events import RequestHeaders

T = TypeVar("T")


def framed(commands: CommandGenerator[T]) -> CommandGenerator[T]:
    """Pass commands on, adding to a request's head the framing of its body if the target needs it."""
    reply = None
    while True:
        try:
            command = commands.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # As mitmproxy declares its generators.
        reply = yield _framed(command)


def may_be_empty(request: Request, server: Server) -> bool:
    """Return whether only the end of a request to an HTTP/1 target will show if it has a body."""
    speaks_http1 = server.connected or not server.tls
    return speaks_http1 and _is_endless(request, server)


def _framed(command: Command) -> Command:
    if not (isinstance(command, SendHttp) and isinstance(command.event, RequestHeaders)):
        return command
    event = command.event
    if event.end_stream or not _is_endless(event.request, command.connection):
        return command
    # A copy: the flow shows what the client sent.
    request = event.request.copy()
    if request.raw_content:
        request.headers["content-length"] = str(len(request.raw_content))
    else:
        request.headers["transfer-encoding"] = "chunked"
    return SendHttp(RequestHeaders(event.stream_id, request, end_stream=False), command.connection)


def _is_endless(request: Request, server: Connection) -> bool:
    return (
        (request.is_http2 or request.is_http3)
        and not (server.alpn == b"h2" or is_h3_alpn(server.alpn))
        and not {"content-length", "transfer-encoding"} & {name.lower() for name in request.headers}
    )
