"""Which connections are handled as HTTP/2 without TLS, and which are left to mitmproxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mitmproxy import exceptions
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy import events, layer, layers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons

from akto_mirror.addon.prior_knowledge import PriorKnowledge
from akto_mirror.addon.session import Session
from akto_mirror.layers.cleartext import CleartextLayer
from akto_mirror.layers.http2_frames import PREFACE

GREETING = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture
def tctx() -> Iterator[taddons.context]:
    """Make a context with mitmproxy's own choice of layers after the addon, and the relevant options."""
    with taddons.context(Proxyserver(), NextLayer()) as context:
        context.options.add_option("akto_h2c", bool, True, "")
        yield context


def asked(
    tctx: taddons.context, came: bytes, greeting: bytes = b"", mode: str = "reverse:http://target:1"
) -> layer.NextLayer:
    """Return the choice of the next layer on a connection that has received these bytes."""
    client = Client(peername=("client", 1), sockname=("", 0), proxy_mode=mode_specs.ProxyMode.parse(mode))
    stack = Context(client, tctx.options)
    stack.server = Server(address=("127.0.0.1", 1))
    stack.server.state = ConnectionState.OPEN
    modes.ReverseProxy(stack)
    nextlayer = layer.NextLayer(stack)
    if greeting:
        nextlayer.events.append(events.DataReceived(stack.server, greeting))
    if came:
        nextlayer.events.append(events.DataReceived(client, came))
    return nextlayer


def test_preface_is_taken(tctx: taddons.context) -> None:
    """With a preface both sides use HTTP/2."""
    nextlayer = asked(tctx, PREFACE + b"more")
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert isinstance(nextlayer.layer, CleartextLayer)
    assert nextlayer.context.client.alpn == nextlayer.context.server.alpn == b"h2"


@pytest.mark.parametrize("size", range(1, len(PREFACE)))
def test_part_of_a_preface_is_waited_for(tctx: taddons.context, size: int) -> None:
    """While only a part of a preface has arrived, nothing is chosen."""
    nextlayer = asked(tctx, PREFACE[:size])
    with pytest.raises(exceptions.AddonHalt):
        PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is None


def test_greeting_of_a_target_is_waited_behind(tctx: taddons.context) -> None:
    """A target that sends first, in HTTP/2, does not make its client use HTTP/1; other targets are not waited for."""
    with pytest.raises(exceptions.AddonHalt):
        PriorKnowledge(Session()).next_layer(asked(tctx, b"", GREETING))
    other = asked(tctx, b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    PriorKnowledge(Session()).next_layer(other)
    assert other.layer is None


@pytest.mark.parametrize("came", [b"GET / HTTP/1.1\r\n", b"POST", b"PRI * HTTP/1.1\r\n", b"\x16\x03\x01"])
def test_everything_else_is_left_alone(tctx: taddons.context, came: bytes) -> None:
    """Everything else is left to mitmproxy."""
    nextlayer = asked(tctx, came)
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is None
    assert nextlayer.context.client.alpn is None


MODES = ("reverse:https://target:1", "reverse:tcp://target:1", "regular", "socks5", "upstream:http://proxy:1")


@pytest.mark.parametrize("mode", MODES)
def test_other_modes_are_left_alone(tctx: taddons.context, mode: str) -> None:
    """In other modes a preface, or a part of one, is left to mitmproxy."""
    for came in (PREFACE, PREFACE[:5]):
        nextlayer = asked(tctx, came, mode=mode)
        PriorKnowledge(Session()).next_layer(nextlayer)
        assert nextlayer.layer is None


@pytest.mark.parametrize("option", ["http2", "akto_h2c"])
def test_switched_off(tctx: taddons.context, option: str) -> None:
    """With the option off nothing is chosen or waited for."""
    tctx.configure(tctx.master.addons.get("nextlayer"), **{option: False})
    for came in (PREFACE, PREFACE[:5]):
        nextlayer = asked(tctx, came)
        PriorKnowledge(Session()).next_layer(nextlayer)
        assert nextlayer.layer is None


def test_choice_of_another_addon_stands(tctx: taddons.context) -> None:
    """An earlier choice of another addon is kept."""
    nextlayer = asked(tctx, PREFACE)
    nextlayer.layer = chosen = layers.TCPLayer(nextlayer.context)
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is chosen


def test_ignored_host_is_left_alone(tctx: taddons.context) -> None:
    """An ignored host passes as raw bytes."""
    tctx.configure(tctx.master.addons.get("nextlayer"), ignore_hosts=["127"])
    nextlayer = asked(tctx, PREFACE)
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is None


class ByName(NextLayer):
    """A mitmproxy that chooses the layer by the preface."""

    name = "nextlayer"

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Choose HTTP/2 as for a TLS client that negotiated it."""
        super().next_layer(nextlayer)
        if nextlayer.data_client().startswith(PREFACE):
            nextlayer.context.client.alpn = b"h2"


class ByLooking(NextLayer):
    """A mitmproxy whose HTTP layer detects the preface itself."""

    name = "nextlayer"

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Choose such a layer."""
        nextlayer.layer = _Looking(nextlayer.context, layers.http.HTTPMode.transparent)


class _Looking(layers.HttpLayer):
    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived) and event.data.startswith(PREFACE):
            self.context.client.alpn = b"h2"
            yield from super()._handle_event(events.Start())
            yield from super()._handle_event(event)


@pytest.mark.parametrize("future", [ByName, ByLooking])
def test_steps_aside_for_a_mitmproxy_that_does_it_itself(future: type[NextLayer]) -> None:
    """How mitmproxy handles a preface decides, not its version; the target's protocol is left alone too."""
    with taddons.context(Proxyserver(), future()) as context:
        context.options.add_option("akto_h2c", bool, True, "")
        nextlayer = asked(context, PREFACE)
        PriorKnowledge(Session()).next_layer(nextlayer)
        assert nextlayer.layer is None
        stack = nextlayer.context
        assert stack.client.alpn is None
        stack.client.alpn = b"h2"
        PriorKnowledge(Session()).server_connected(ServerConnectionHookData(stack.server, stack.client))
        assert stack.server.alpn is None


def test_targets_protocol(tctx: taddons.context) -> None:
    """The target's protocol follows the client's, only without TLS on either side."""
    for tls, client_tls, alpn, expected in (
        (False, False, b"h2", b"h2"),
        (False, False, None, None),
        (False, True, b"h2", None),
        (True, False, b"h2", None),
    ):
        stack = asked(tctx, b"").context
        stack.client.alpn, stack.client.tls, stack.server.tls = alpn, client_tls, tls
        PriorKnowledge(Session()).server_connected(ServerConnectionHookData(stack.server, stack.client))
        assert stack.server.alpn == expected


def test_own_error_is_logged_and_mitmproxy_goes_on(tctx: taddons.context, caplog: pytest.LogCaptureFixture) -> None:
    """Neither hook raises, which would keep other addons' hooks from running."""
    tctx.master.addons.get("nextlayer").next_layer = None
    nextlayer = asked(tctx, PREFACE)
    PriorKnowledge(Session()).next_layer(nextlayer)
    stack = nextlayer.context
    stack.client.alpn = b"h2"
    PriorKnowledge(Session()).server_connected(ServerConnectionHookData(stack.server, stack.client))
    assert nextlayer.layer is None
    assert caplog.text.count("please report this") == 2
