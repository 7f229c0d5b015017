"""Which connections are taken for HTTP/2 without TLS, and which are mitmproxy's own business."""

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
    """Have mitmproxy's own choice of layers behind the addon, and the options that matter."""
    with taddons.context(Proxyserver(), NextLayer()) as context:
        context.options.add_option("akto_h2c", bool, True, "")
        yield context


def asked(
    tctx: taddons.context, came: bytes, greeting: bytes = b"", mode: str = "reverse:http://target:1"
) -> layer.NextLayer:
    """Ask what comes next on a connection on which this has come."""
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
    """Both sides are spoken to in HTTP/2."""
    nextlayer = asked(tctx, PREFACE + b"more")
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert isinstance(nextlayer.layer, CleartextLayer)
    assert nextlayer.context.client.alpn == nextlayer.context.server.alpn == b"h2"


@pytest.mark.parametrize("size", range(1, len(PREFACE)))
def test_part_of_a_preface_is_waited_for(tctx: taddons.context, size: int) -> None:
    """Until more has come, nothing is chosen."""
    nextlayer = asked(tctx, PREFACE[:size])
    with pytest.raises(exceptions.AddonHalt):
        PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is None


def test_greeting_of_a_target_is_waited_behind(tctx: taddons.context) -> None:
    """A target that speaks first, in HTTP/2, does not make its client one of HTTP/1; another one is not waited for."""
    with pytest.raises(exceptions.AddonHalt):
        PriorKnowledge(Session()).next_layer(asked(tctx, b"", GREETING))
    other = asked(tctx, b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    PriorKnowledge(Session()).next_layer(other)
    assert other.layer is None


@pytest.mark.parametrize("came", [b"GET / HTTP/1.1\r\n", b"POST", b"PRI * HTTP/1.1\r\n", b"\x16\x03\x01"])
def test_everything_else_is_left_alone(tctx: taddons.context, came: bytes) -> None:
    """The choice is mitmproxy's."""
    nextlayer = asked(tctx, came)
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is None
    assert nextlayer.context.client.alpn is None


MODES = ("reverse:https://target:1", "reverse:tcp://target:1", "regular", "socks5", "upstream:http://proxy:1")


@pytest.mark.parametrize("mode", MODES)
def test_other_modes_are_left_alone(tctx: taddons.context, mode: str) -> None:
    """A preface, or a part of one, is mitmproxy's there."""
    for came in (PREFACE, PREFACE[:5]):
        nextlayer = asked(tctx, came, mode=mode)
        PriorKnowledge(Session()).next_layer(nextlayer)
        assert nextlayer.layer is None


@pytest.mark.parametrize("option", ["http2", "akto_h2c"])
def test_switched_off(tctx: taddons.context, option: str) -> None:
    """Nothing is taken or waited for."""
    tctx.configure(tctx.master.addons.get("nextlayer"), **{option: False})
    for came in (PREFACE, PREFACE[:5]):
        nextlayer = asked(tctx, came)
        PriorKnowledge(Session()).next_layer(nextlayer)
        assert nextlayer.layer is None


def test_choice_of_another_addon_stands(tctx: taddons.context) -> None:
    """Who came first is not overruled."""
    nextlayer = asked(tctx, PREFACE)
    nextlayer.layer = chosen = layers.TCPLayer(nextlayer.context)
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is chosen


def test_ignored_host_is_left_alone(tctx: taddons.context) -> None:
    """It is to pass as bytes."""
    tctx.configure(tctx.master.addons.get("nextlayer"), ignore_hosts=["127"])
    nextlayer = asked(tctx, PREFACE)
    PriorKnowledge(Session()).next_layer(nextlayer)
    assert nextlayer.layer is None


class ByName(NextLayer):
    """A mitmproxy that goes by the preface when it chooses the layer."""

    name = "nextlayer"

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Choose HTTP/2 as for a client with TLS that has agreed on it."""
        super().next_layer(nextlayer)
        if nextlayer.data_client().startswith(PREFACE):
            nextlayer.context.client.alpn = b"h2"


class ByLooking(NextLayer):
    """A mitmproxy whose HTTP layer looks for the preface itself."""

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
    """What mitmproxy does with a preface decides, not its version; nor is a target's protocol touched then."""
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
    """It follows the client's, without TLS on either side only."""
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
    """Neither hook lets an error out, which would keep other addons from theirs."""
    tctx.master.addons.get("nextlayer").next_layer = None
    nextlayer = asked(tctx, PREFACE)
    PriorKnowledge(Session()).next_layer(nextlayer)
    stack = nextlayer.context
    stack.client.alpn = b"h2"
    PriorKnowledge(Session()).server_connected(ServerConnectionHookData(stack.server, stack.client))
    assert nextlayer.layer is None
    assert caplog.text.count("please report this") == 2
