"""Connections to Akto that end their attempts in time."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable

import httpcore
import httpx


class Transport(httpx.HTTPTransport):
    """One kept-alive connection.

    Args:
        context: of TLS.
        uds: path of a Unix socket to connect through; empty connects to the address.
    """

    def __init__(self, context: ssl.SSLContext, uds: str) -> None:
        super().__init__(verify=context)
        # httpx has no way to name a backend.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=60,
            uds=uds or None,
            network_backend=_Backend(),
        )


class _Backend(httpcore.SyncBackend):
    """Shares the time-out among all addresses of a name, of which each would otherwise get the whole of it."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        deadline = None if timeout is None else time.monotonic() + timeout
        addresses = _addresses(host, port)
        for left in range(len(addresses), 0, -1):
            share = None if deadline is None else max(0.001, (deadline - time.monotonic()) / left)
            try:
                return super().connect_tcp(addresses[-left], port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
        raise httpcore.ConnectError("the name has no address")


def _addresses(host: str, port: int) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(error) from error
