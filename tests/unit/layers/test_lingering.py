"""Streams that outlast their target, at the level of bytes: uploads that are answered or aborted early."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpRequestHook, HttpResponseHeadersHook
from mitmproxy.test import taddons

from akto_mirror.layers import lingering
from akto_mirror.layers.lingering import Lingerer, LingeringHttpLayer
from tests.support.layers import Wire, stack

HEAD = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n"
ANSWER = b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!"


def stream(hook: commands.StartHook) -> None:
    """Stream requests and responses."""
    if isinstance(hook, HttpRequestHeadersHook):
        hook.flow.request.stream = True
    elif isinstance(hook, HttpResponseHeadersHook):
        assert hook.flow.response
        hook.flow.response.stream = True


class Exchange:
    """A client that has sent half of a request, and its target, which has received it."""

    def __init__(self, context: taddons.context) -> None:
        made = stack(context.options)
        self.client, self.target = made.client, made.server
        chosen = NextLayer(made)
        chosen.layer = HttpLayer(made, HTTPMode.transparent)
        Lingerer(lambda _: MappingProxyType({})).next_layer(chosen)
        assert isinstance(chosen.layer, LingeringHttpLayer)
        self.wire = Wire(chosen.layer, stream)
        self.wire.receive(self.client, HEAD + b"first")
        assert self.wire.take(self.target).endswith(b"first")

    @property
    def is_open(self) -> bool:
        """Whether the client's connection is open."""
        return self.client not in self.wire.closed


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Return an upload in progress."""
    with taddons.context(Proxyserver()) as context:
        yield Exchange(context)


def test_an_early_answer_arrives_though_its_target_has_ended(exchange: Exchange) -> None:
    """The rest of the request is read and discarded, and then the connection ends."""
    exchange.wire.receive(exchange.target, ANSWER)
    exchange.wire.end(exchange.target)
    assert exchange.wire.take(exchange.client).replace(b"Content-Length", b"content-length") == ANSWER
    assert exchange.is_open
    exchange.wire.receive(exchange.client, b"rest!")
    assert exchange.wire.take(exchange.target) == b""


def test_a_target_that_ends_without_an_answer_costs_a_page(exchange: Exchange) -> None:
    """The client gets a complete 502, and is not reset while it still sends."""
    exchange.wire.end(exchange.target)
    page = exchange.wire.take(exchange.client)
    assert page.startswith(b"HTTP/1.1 502 ")
    assert page.endswith(b"</html>")
    assert exchange.is_open


def test_the_rest_of_a_request_has_a_time(exchange: Exchange) -> None:
    """A client that does not go on sending is disconnected after a time-out."""
    exchange.wire.end(exchange.target)
    assert exchange.is_open
    exchange.wire.wake()
    assert not exchange.is_open


def test_the_rest_of_a_request_has_a_bound(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends endlessly is disconnected."""
    monkeypatch.setattr(lingering, "MOST", 3)
    exchange.wire.end(exchange.target)
    exchange.wire.receive(exchange.client, b"res")
    assert exchange.is_open
    exchange.wire.receive(exchange.client, b"t")
    assert not exchange.is_open


def test_half_an_answer_is_not_made_a_whole_one(exchange: Exchange) -> None:
    """If the target breaks off its response, the client's connection ends too, after the request."""
    exchange.wire.receive(exchange.target, ANSWER[:-1])
    exchange.wire.end(exchange.target)
    assert exchange.wire.take(exchange.client).endswith(b"no")
    exchange.wire.receive(exchange.client, b"rest!")
    assert not exchange.is_open


def test_a_complete_exchange_is_mitmproxy_s_own(exchange: Exchange) -> None:
    """After a complete exchange both connections stay open for the next request."""
    exchange.wire.receive(exchange.client, b"rest!")
    exchange.wire.receive(exchange.target, ANSWER)
    assert exchange.wire.take(exchange.client).endswith(b"no!")
    assert exchange.wire.closed == []
    exchange.wire.receive(exchange.client, b"GET /b HTTP/1.1\r\nhost: h\r\n\r\n")
    assert exchange.wire.take(exchange.target).startswith(b"rest!GET /b HTTP/1.1\r\n")


def test_a_target_that_ends_while_addons_see_the_complete_request(exchange: Exchange) -> None:
    """Both sides have ended by then; reporting an error would crash mitmproxy."""
    exchange.wire.receive(exchange.target, ANSWER)
    exchange.target.state = ConnectionState.CLOSED
    exchange.wire.meanwhile[HttpRequestHook] = events.ConnectionClosed(exchange.target)
    exchange.wire.receive(exchange.client, b"rest!")
    assert exchange.wire.take(exchange.client).replace(b"Content-Length", b"content-length") == ANSWER
    assert exchange.is_open
