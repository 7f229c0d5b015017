"""Prevents long uploads and many live streams from blocking a client.

mitmproxy allows a client connection five open connections to a target (`ConnectionHandler.max_conns` in
mitmproxy/proxy/server.py): with five event streams on one HTTP/2 connection, a sixth request to an HTTP/1 target would
not be answered.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from mitmproxy import ctx
from mitmproxy.connection import Client, Connection
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.mode_specs import ReverseMode

from akto_mirror.addon import chain
from akto_mirror.addon.session import Session, guarded
from akto_mirror.layers.lingering import Lingerer


class Behind:
    """Runs after mitmproxy's own addons, which choose the layers."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lingerer = Lingerer(_writers)

    @guarded
    def next_layer(self, nextlayer: NextLayer) -> None:
        """Replace the HTTP layer, if one was chosen, by one that lingers."""
        self._lingerer.next_layer(nextlayer)


class Uploads:
    """Replaces mitmproxy's HTTP layer by one that lingers, as soon as it is chosen."""

    name = "akto-uploads"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._behind = Behind(session)

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Put the child addon at the end of the chain."""
        del updated
        if self._behind not in ctx.master.addons.chain:
            chain.stand_last(ctx.master.addons, self._behind)

    @guarded
    def done(self) -> None:
        """Restore everything, in case mitmproxy keeps running."""
        if not ctx.master.should_exit.is_set():
            chain.stand_back(ctx.master.addons, self._behind)


class UpstreamConnections:
    """Lets one client of a reverse proxy have more live streams than the five that mitmproxy allows."""

    name = "akto-upstream-connections"

    def __init__(self, session: Session) -> None:
        self.session = session

    @guarded
    def client_connected(self, client: Client) -> None:
        """Set the limit of a new connection."""
        settings = self.session.settings
        if settings is not None and isinstance(client.proxy_mode, ReverseMode):
            allow(_handler(client), settings.upstream_connections)


def allow(handler: Any, most: int) -> None:
    """Set how many connections a client connection may hold open to each target.

    Args:
        handler: mitmproxy's handler of the client connection; one without such a limit is left alone.
        most: 0 keeps mitmproxy's limit.
    """
    if most and hasattr(handler, "max_conns"):
        handler.max_conns = defaultdict(lambda: asyncio.Semaphore(most))


def _handler(client: Client) -> object:
    """Return the handler of a client connection, which mitmproxy's own proxy server addon keeps."""
    handlers: Mapping[str, object] = getattr(ctx.master.addons.get("proxyserver"), "connections", {})
    return handlers.get(client.id)


def _writers(client: Client) -> dict[Connection, object]:
    """Return the writers of a client's connections."""
    transports = getattr(_handler(client), "transports", {})
    return {connection: transport.writer for connection, transport in transports.items()}
