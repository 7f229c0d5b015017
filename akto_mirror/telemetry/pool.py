"""One proxy in several processes: what the addon of one knows of the others; it is alone unless the runner says so."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from tornado.netutil import bind_sockets

from akto_mirror.snapshots import Report, Snapshot


class Pool(Protocol):
    """The processes that serve one proxy.

    Attributes:
        size: how many they are; each takes that part of a bound that is meant for all.
    """

    size: int

    def watch(self, report: Callable[[], Report]) -> None:
        """Have this process observed, by a function that any thread may call."""

    def others(self) -> Sequence[Report]:
        """Return what the other processes reported last, those that have ended included."""

    def sum_up(self, counts: Snapshot) -> bool:
        """Take this process' last counts; False if they are to be logged here, as there is only this process."""

    def bind(self, host: str, port: int) -> list[socket.socket]:
        """Return sockets that listen there, shared by all processes.

        Raises:
            OSError: the address cannot be used.
        """


class Alone:
    """One process."""

    size = 1

    def watch(self, report: Callable[[], Report]) -> None:
        """Do nothing: no other process asks."""

    def others(self) -> Sequence[Report]:
        """Return nothing."""
        return ()

    def sum_up(self, counts: Snapshot) -> bool:
        """Leave it to the log."""
        del counts
        return False

    def bind(self, host: str, port: int) -> list[socket.socket]:
        """Open sockets.

        Raises:
            OSError: the address cannot be used.
        """
        return bind_sockets(port, host)


_current: Pool = Alone()


def current() -> Pool:
    """Return the pool that this process belongs to."""
    return _current


def join(pool: Pool) -> None:
    """Make this process one of a pool's, before anything asks."""
    global _current  # noqa: PLW0603 - a process belongs to one pool, from its start to its end
    _current = pool
