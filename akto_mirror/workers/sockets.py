"""The shared listening sockets; the parent opens each once, and keeps it open while any worker uses it."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from tornado.netutil import bind_sockets

from akto_mirror.workers.messages import Listen

# How many connections may wait while workers are busy or being replaced; the kernel has its own limit.
BACKLOG = 4096


class Sockets:
    """Listening sockets, by the requested address."""

    def __init__(self) -> None:
        self._open: dict[Listen, list[socket.socket]] = {}

    def of(self, asked: Listen) -> list[socket.socket]:
        """Return the sockets for an address; for port 0, the same ones each time for the same key.

        Raises:
            OSError: the address cannot be used.
        """
        if asked not in self._open:
            self._open[asked] = bind_sockets(asked.port, asked.host, backlog=BACKLOG)
        return self._open[asked]

    def keep(self, wanted: Iterable[Listen]) -> None:
        """Close all sockets except those of the addresses that are still used."""
        for asked in self._open.keys() - set(wanted):
            for each in self._open.pop(asked):
                each.close()
