"""The processes that serve one proxy, as the addon in one of them sees the others; just one without the runner."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from tornado.netutil import bind_sockets

from akto_mirror.snapshots import Report, Snapshot


class Pool(Protocol):
    """The processes that serve one proxy.

    Attributes:
        size: how many there are; each gets this fraction of a limit that applies to all.
    """

    size: int

    def watch(self, report: Callable[[], Report]) -> None:
        """Register the function that returns this process's report; any thread may call it."""

    def others(self) -> Sequence[Report]:
        """Return the last reports of the other processes, including those that have ended."""

    def sum_up(self, counts: Snapshot) -> bool:
        """Take this process's final counts; False if the caller must log them because there is no other process."""

    def bind(self, host: str, port: int) -> list[socket.socket]:
        """Return sockets that listen on an address, shared by all processes.

        Raises:
            OSError: the address cannot be used.
        """


class Alone:
    """A single process."""

    size = 1

    def watch(self, report: Callable[[], Report]) -> None:
        """Do nothing: there is no other process."""

    def others(self) -> Sequence[Report]:
        """Return nothing."""
        return ()

    def sum_up(self, counts: Snapshot) -> bool:
        """Return False, so that the caller logs them."""
        del counts
        return False

    def bind(self, host: str, port: int) -> list[socket.socket]:
        """Open the sockets.

        Raises:
            OSError: the address cannot be used.
        """
        return bind_sockets(port, host)


_current: Pool = Alone()


def current() -> Pool:
    """Return the pool that this process belongs to."""
    return _current


def join(pool: Pool) -> None:
    """Make this process part of a pool; called before anything asks for it."""
    global _current  # noqa: PLW0603 - a process belongs to one pool, from its start to its end
    _current = pool
