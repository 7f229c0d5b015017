"""Work that may take long, away from the event loop, which gives it a moment or does not wait at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

# The longest that looking at the disk may hold up the event loop, in seconds.
PATIENCE_S = 0.25


def later(act: Callable[[], None]) -> None:
    """Have something done that handles its own errors."""
    threading.Thread(target=act, name="akto-aside", daemon=True).start()


def within(seconds: float, act: Callable[[], T]) -> T:
    """Return what a thread finds out, or raise what it raises, if that takes no longer than this many seconds.

    Raises:
        TimeoutError: it takes longer; it is not stopped.
    """
    return begin(act).result(seconds)


def begin(act: Callable[[], T]) -> Future[T]:
    """Have a thread find something out, or raise what it raises; it keeps no process from ending."""
    found: Future[T] = Future()
    later(lambda: _find_out(act, found))
    return found


def _find_out(act: Callable[[], T], found: Future[T]) -> None:
    found.set_running_or_notify_cancel()
    try:
        found.set_result(act())
    except Exception as error:  # noqa: BLE001 - it is raised where the result is waited for
        found.set_exception(error)
