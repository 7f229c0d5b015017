"""HTTP/2 without TLS for clients that know beforehand that the target speaks it (RFC 9113, section 3.3), as gRPC does.

mitmproxy takes the preface of such a client for an HTTP/1 request and refuses it. This addon recognises it in
`reverse:http://` and has mitmproxy's own HTTP/2 layers speak with client and target. Where mitmproxy would pass the
connection on untouched, or comes to speak HTTP/2 here by itself, the addon leaves it alone.
"""

from __future__ import annotations

from mitmproxy import connection, ctx, exceptions
from mitmproxy.proxy import commands, context, events, layer, layers
from mitmproxy.proxy.layers.modes import ReverseProxy
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from akto_mirror.addon.session import Session, guarded
from akto_mirror.layers.cleartext import CleartextLayer
from akto_mirror.layers.http2_frames import PREFACE, greets


class PriorKnowledge:
    """Lets `reverse:http://` take HTTP/2 besides HTTP/1; has to stand before mitmproxy's `NextLayer`, as scripts do."""

    name = "akto-prior-knowledge"

    def __init__(self, session: Session) -> None:
        self.session = session

    @guarded
    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Choose HTTP/2 where the client's first bytes are its preface.

        Raises:
            AddonHalt: they may yet become one; mitmproxy asks again when more has come.
        """
        if self._choose(nextlayer):
            raise exceptions.AddonHalt

    @guarded
    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Have the target of such a client spoken to in HTTP/2, also when a flow of it is replayed."""
        if _is_cleartext(data.client, data.server) and _needs_help(data.client, data.server):
            data.server.alpn = b"h2"

    def _choose(self, nextlayer: layer.NextLayer) -> bool:
        """Set the layer if the preface is there; return whether to wait for more of it."""
        if nextlayer.layer is not None or not _may_be_cleartext(nextlayer.context):
            return False
        data = nextlayer.data_client()
        if data.startswith(PREFACE):
            self._take(nextlayer)
            return False
        if data:
            return PREFACE.startswith(data)
        # A target may greet its client before that has sent anything.
        return greets(nextlayer.data_server())

    def _take(self, nextlayer: layer.NextLayer) -> None:
        stack = nextlayer.context
        if not _needs_help(stack.client, stack.server):
            return
        stack.client.alpn = b"h2"
        if stack.server.connected:
            stack.server.alpn = b"h2"
        nextlayer.layer = CleartextLayer(stack)


def _may_be_cleartext(stack: context.Context) -> bool:
    mode = stack.client.proxy_mode
    reverse = isinstance(mode, ReverseMode) and mode.scheme == "http" and stack.client.transport_protocol == "tcp"
    outermost = [type(each) for each in stack.layers] == [ReverseProxy]
    return reverse and outermost and bool(ctx.options.http2) and bool(ctx.options.akto_h2c)


def _is_cleartext(client: connection.Client, server: connection.Server) -> bool:
    mode = client.proxy_mode
    reverse = isinstance(mode, ReverseMode) and mode.scheme == "http"
    return reverse and client.alpn == b"h2" and not client.tls and not server.tls and server.alpn is None


def _needs_help(client: connection.Client, server: connection.Server) -> bool:
    """Show the preface to what mitmproxy itself would choose: does it take it for HTTP, and yet not for HTTP/2?"""
    chooser = ctx.master.addons.get("nextlayer")
    if chooser is None:
        return True
    stack = context.Context(client.copy(), ctx.options)
    stack.client.alpn = None
    stack.server = server.copy()
    stack.layers = [ReverseProxy(stack)]
    asked = layer.NextLayer(stack)
    came = events.DataReceived(stack.client, PREFACE)
    asked.events.append(came)
    chooser.next_layer(asked)
    if not isinstance(asked.layer, layers.HttpLayer):
        return False
    reactions = [*asked.layer.handle_event(events.Start()), *asked.layer.handle_event(came)]
    return not any(isinstance(each, commands.SendData) and greets(each.data) for each in reactions)
