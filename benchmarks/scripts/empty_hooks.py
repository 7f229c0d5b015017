"""An addon that does nothing in six hooks: what it costs that a script listens at all."""

from __future__ import annotations

from mitmproxy import http
from mitmproxy.connection import Client


class EmptyHooks:
    """Listens to what the addon listens to on a request's way."""

    def client_connected(self, client: Client) -> None:
        """Do nothing."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Do nothing."""

    def request(self, flow: http.HTTPFlow) -> None:
        """Do nothing."""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Do nothing."""

    def response(self, flow: http.HTTPFlow) -> None:
        """Do nothing."""

    def error(self, flow: http.HTTPFlow) -> None:
        """Do nothing."""


addons = [EmptyHooks()]
