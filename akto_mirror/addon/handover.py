"""How an instance of the addon ends: its flush, and the hand-over of its shipper at a reload."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import signal
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Protocol

from akto_mirror.delivery import Shipper

# Seconds within which the next instance takes a parked shipper over; it comes at once if it comes.
PARK_S = 2.0


class Flush:
    """A flush that begins at once, or when it is awaited.

    Args:
        close: begins it; returns what is done when it has ended.
    """

    def __init__(self, close: Callable[[], Future[None]]) -> None:
        self._close = close
        self._ended: Future[None] | None = None

    def begin(self) -> None:
        """Begin, if it has not begun."""
        if self._ended is None:
            self._ended = self._close()

    def wait(self) -> None:
        """Block until it has ended, if it has begun."""
        if self._ended is not None:
            self._ended.result()

    def __await__(self) -> Generator[Any, None, None]:
        self.begin()
        assert self._ended is not None  # noqa: S101 - for the type checker
        return asyncio.wrap_future(self._ended).__await__()


class Room:
    """Awaits room in the queue."""

    def __init__(self, shipper: Shipper) -> None:
        self._shipper = shipper

    def __await__(self) -> Generator[Any, None, None]:
        while self._shipper.is_crowded():
            yield from asyncio.sleep(0.01).__await__()


class Parking(Protocol):
    """Where a shipper waits for the next instance."""

    parked: Shipper | None


def park(place: Parking, shipper: Shipper, flush: Flush) -> bool:
    """Leave a shipper as it runs to the next instance, and close it if there is none; False without an event loop."""
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
    """Have a further signal act, where mitmproxy would pass over it: it has begun to end already."""
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, act)
