"""The sockets at which all workers listen; the parent opens each once, and keeps it while any worker uses it."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from tornado.netutil import bind_sockets

from akto_mirror.workers.messages import Listen

# Connections that may wait, while workers are busy or replaced; the kernel has a bound of its own.
BACKLOG = 4096


class Sockets:
    """Listening sockets, by what was asked for."""

    def __init__(self) -> None:
        self._open: dict[Listen, list[socket.socket]] = {}

    def of(self, asked: Listen) -> list[socket.socket]:
        """Return the sockets of an address; at port 0, the same ones each time for the same key.

        Raises:
            OSError: the address cannot be used.
        """
        if asked not in self._open:
            self._open[asked] = bind_sockets(asked.port, asked.host, backlog=BACKLOG)
        return self._open[asked]

    def keep(self, wanted: Iterable[Listen]) -> None:
        """Close all sockets but those of the addresses that are still wanted."""
        for asked in self._open.keys() - set(wanted):
            for each in self._open.pop(asked):
                each.close()
