"""HTTP/2 without TLS for clients with prior knowledge (RFC 9113, section 3.3), such as gRPC clients.

mitmproxy takes the preface of such a client for an HTTP/1 request and refuses it. In `reverse:http://`, this addon
recognises the preface and uses mitmproxy's own HTTP/2 layers for client and target. It does nothing where mitmproxy
would forward the connection as it is, or would use HTTP/2 by itself.
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
    """Lets `reverse:http://` accept HTTP/2 besides HTTP/1; has to run before mitmproxy's `NextLayer`, as scripts do."""

    name = "akto-prior-knowledge"

    def __init__(self, session: Session) -> None:
        self.session = session

    @guarded
    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Choose HTTP/2 if the client's first bytes are its preface.

        Raises:
            AddonHalt: they may be its beginning; mitmproxy asks again when more has arrived.
        """
        if self._choose(nextlayer):
            raise exceptions.AddonHalt

    @guarded
    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Use HTTP/2 with the target of such a client, also when one of its flows is replayed."""
        if _is_cleartext(data.client, data.server) and _needs_help(data.client, data.server):
            data.server.alpn = b"h2"

    def _choose(self, nextlayer: layer.NextLayer) -> bool:
        """Set the layer if the preface has arrived; return whether to wait for more of it."""
        if nextlayer.layer is not None or not _may_be_cleartext(nextlayer.context):
            return False
        data = nextlayer.data_client()
        if data.startswith(PREFACE):
            self._take(nextlayer)
            return False
        if data:
            return PREFACE.startswith(data)
        # A target may send something before its client has sent anything.
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
    """Return whether mitmproxy itself would take the preface for HTTP, but not for HTTP/2."""
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
