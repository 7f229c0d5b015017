"""The end of an instance of the addon: its flush or, at a reload, the transfer of its shipper to the next instance."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import signal
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Protocol

from akto_mirror.delivery import Shipper

# Seconds within which the next instance has to take over a parked shipper; if there is one, it starts at once.
PARK_S = 2.0


class Flush:
    """A flush that starts when `begin` is called or when it is awaited.

    Args:
        close: starts it; returns a future that is done when the flush has ended.
    """

    def __init__(self, close: Callable[[], Future[None]]) -> None:
        self._close = close
        self._ended: Future[None] | None = None

    def begin(self) -> None:
        """Start, unless it has started."""
        if self._ended is None:
            self._ended = self._close()

    def wait(self) -> None:
        """Block until it has ended, if it has started."""
        if self._ended is not None:
            self._ended.result()

    def __await__(self) -> Generator[Any, None, None]:
        self.begin()
        assert self._ended is not None  # noqa: S101 - for the type checker
        return asyncio.wrap_future(self._ended).__await__()


class Room:
    """Waits for room in the queue."""

    def __init__(self, shipper: Shipper) -> None:
        self._shipper = shipper

    def __await__(self) -> Generator[Any, None, None]:
        while self._shipper.is_crowded():
            yield from asyncio.sleep(0.01).__await__()


class Parking(Protocol):
    """Holds a running shipper until the next instance takes it over."""

    parked: Shipper | None


def park(place: Parking, shipper: Shipper, flush: Flush) -> bool:
    """Keep a running shipper for the next instance, and close it if there is none; False without an event loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    place.parked = shipper

    def close_if_left() -> None:
        if place.parked is shipper:
            flush.begin()

    def end() -> None:
        close_if_left()
        flush.wait()

    loop.call_later(PARK_S, close_if_left)
    atexit.register(end)
    return True


def on_signals(act: Callable[[], None]) -> None:
    """Handle a second signal, which mitmproxy ignores because it is already shutting down."""
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, act)
