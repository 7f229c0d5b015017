"""Makes mitmdump one of several workers: it listens on shared sockets, and drains on request."""

from __future__ import annotations

import asyncio
import logging
import socket
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol

from mitmproxy import exceptions
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.master import Master
from mitmproxy.proxy.mode_servers import AsyncioServerInstance, ServerInstance
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode

from akto_mirror.workers.drain import Drain
from akto_mirror.workers.listener import Listener, Room

# Options that several processes cannot share: each would read the whole file, or overwrite another's output.
ALONE = {
    "rfile": "-r",
    "save_stream_file": "-w",
    "hardump": "--set hardump",
    "client_replay": "-C",
}

# File descriptors that are not for connections; each client connection needs a second one, to the target.
RESERVED = 128

REFUSED = "`--processes` above 1 cannot be combined with {}; leave out `--processes`, or {}"

TCP_ONLY = "akto: %s is served over TCP only: with `--processes` above 1 there is no HTTP/3"

logger = logging.getLogger(__name__)


class Parent(Protocol):
    """The part of the connection to the parent process that is needed here.

    Attributes:
        number: this worker's number; the first one logs lines that apply to all.
    """

    number: int

    def listen(self, key: str, host: str, port: int) -> list[socket.socket]:
        """Return the sockets that listen on an address."""


class Sharing:
    """An addon that makes mitmproxy's servers listen on shared sockets.

    mitmproxy announces its servers before it starts them (`Servers.update` in mitmproxy/addons/proxyserver.py), and
    each opens its sockets by its method `listen` (mitmproxy/proxy/mode_servers.py).

    Args:
        master: mitmproxy's master.
        parent: provides the sockets.
    """

    name = "akto-sharing"

    def __init__(self, master: Master, parent: Parent) -> None:
        self._master = master
        self._parent = parent
        self._listeners: list[Listener] = []
        self._draining: Future[None] | None = None
        import resource  # noqa: PLC0415 - Windows has none, and no workers

        self._room = Room(max(1, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED) // 2))
        self._proxyserver: Proxyserver = master.addons.get("proxyserver")
        self._proxyserver.servers.changed.connect(self._adopt)
        self._drain = Drain(self._proxyserver.connections)
        self.addons: list[object] = [self._drain]

    def configure(self, updated: set[str]) -> None:
        """Refuse options that several processes cannot share.

        Raises:
            OptionsError: such an option is set.
        """
        for name in updated & ALONE.keys():
            if getattr(self._master.options, name, None):
                raise exceptions.OptionsError(REFUSED.format(ALONE[name], f"leave out {ALONE[name]}"))

    async def drain(self, seconds: float) -> None:
        """Stop accepting, drain connections, and then shut mitmproxy down."""
        for each in self._listeners:
            each.stop()
        await self._drain.drain(seconds)
        self._master.shutdown()

    def begin_to_drain(self, seconds: float) -> None:
        """Start to drain; may be called on any thread."""
        self._draining = asyncio.run_coroutine_threadsafe(self.drain(seconds), self._master.event_loop)

    async def _adopt(self) -> None:
        for server in self._proxyserver.servers:
            if server.is_running or "akto_adopted" in server.__dict__:
                continue
            server.__dict__["akto_adopted"] = True
            if isinstance(server, AsyncioServerInstance) and _is_tcp(server.mode):
                server.listen = partial(self._listen, server)  # type: ignore[method-assign]
            else:
                server._start = partial(_refuse, server.mode)  # type: ignore[method-assign]

    async def _listen(self, server: ServerInstance[Any], host: str, port: int) -> list[Any]:
        sockets = await asyncio.to_thread(self._parent.listen, server.mode.full_spec, host, port)
        if server.mode.transport_protocol == "both" and self._parent.number == 1:
            logger.info(TCP_ONLY, server.mode.full_spec)
        listener = Listener(sockets, server.handle_stream, self._room)
        self._listeners.append(listener)
        return [listener]


async def _refuse(mode: ProxyMode) -> None:
    raise ValueError(REFUSED.format(f"the mode {mode.full_spec}, which is not a TCP listener", "choose another mode"))


def _is_tcp(mode: ProxyMode) -> bool:
    """Return whether a mode listens on TCP only; for a reverse proxy to HTTPS, HTTP/3 may be left out."""
    is_https = isinstance(mode, ReverseMode) and mode.scheme == "https"
    return mode.transport_protocol == "tcp" or (is_https and mode.transport_protocol == "both")
