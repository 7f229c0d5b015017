"""Requests are framed where an HTTP/1 target could not recognise the end of the body."""

from __future__ import annotations

import pytest
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.http import Request
from mitmproxy.proxy.commands import Command, Log
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import SendHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders

from akto_mirror.layers.framing import framed, may_be_empty


def head(
    version: str = "HTTP/2.0",
    alpn: bytes | None = None,
    *,
    content: bytes | None = None,
    ended: bool = False,
    **fields: str,
) -> SendHttp:
    """Return the command that sends a request's head."""
    request = Request.make("POST", "https://shop.example/orders")
    request.http_version, request.data.content = version, content
    request.headers.clear()
    request.headers.update({name.replace("_", "-"): value for name, value in fields.items()})
    server = Server(address=("shop.example", 443))
    server.alpn = alpn
    return SendHttp(RequestHeaders(1, request, end_stream=ended), server)


def sent(command: Command) -> Command:
    """Return the command that is passed on."""

    def commands() -> CommandGenerator[None]:
        yield command

    (passed,) = framed(commands())
    return passed


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3"])
@pytest.mark.parametrize("alpn", [None, b"http/1.1"])
@pytest.mark.parametrize(
    ("content", "field"), [(None, ("transfer-encoding", "chunked")), (b"abc", ("content-length", "3"))]
)
def test_a_body_without_a_length_is_framed(
    version: str, alpn: bytes | None, content: bytes | None, field: tuple[str, str]
) -> None:
    """The body is framed by its length if it is known, else as chunked; the flow's request is not changed."""
    command = head(version, alpn, content=content)
    passed = sent(command)
    assert isinstance(passed, SendHttp)
    assert isinstance(passed.event, RequestHeaders)
    assert isinstance(command.event, RequestHeaders)
    assert list(passed.event.request.headers.items()) == [field]
    assert list(command.event.request.headers) == []
    assert (passed.connection, passed.event.end_stream) == (command.connection, False)


@pytest.mark.parametrize(
    "command",
    [
        head("HTTP/1.1"),
        head(ended=True),
        head(alpn=b"h2"),
        head(alpn=b"h3"),
        head(content_length="3"),
        head(transfer_encoding="chunked"),
        Log("text"),
    ],
)
def test_all_else_passes_as_it_is(command: Command) -> None:
    """Requests that are framed, or need no framing, are not changed."""
    assert sent(command) is command


CLOSED, OPEN = ConnectionState.CLOSED, ConnectionState.OPEN


@pytest.mark.parametrize(
    ("command", "state", "tls", "expected"),
    [
        (head(), CLOSED, False, True),
        (head("HTTP/3", b"http/1.1"), OPEN, True, True),
        (head(), CLOSED, True, False),
        (head(alpn=b"h2"), OPEN, True, False),
        (head(content_length="0"), CLOSED, False, False),
        (head("HTTP/1.1"), CLOSED, False, False),
    ],
)
def test_a_request_that_may_be_empty(command: SendHttp, state: ConnectionState, tls: bool, expected: bool) -> None:
    """With TLS the target's protocol, which decides whether a body must be announced, is known only when connected."""
    event, server = command.event, command.connection
    assert isinstance(event, RequestHeaders)
    assert isinstance(server, Server)
    server.state, server.tls = state, tls
    assert may_be_empty(event.request, server) is expected


def test_replies_and_results_pass() -> None:
    """Replies to commands and the generator's return value are passed on."""

    def commands() -> CommandGenerator[str]:
        reply = yield Log("question")
        return f"heard {reply}"

    passing = framed(commands())
    next(passing)
    with pytest.raises(StopIteration) as ended:
        passing.send("answer")
    assert ended.value.value == "heard answer"
