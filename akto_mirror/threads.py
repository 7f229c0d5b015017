"""Runs slow work on threads; the event loop waits for it briefly or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

# The longest time, in seconds, for which a command may block the event loop.
PATIENCE_S = 0.25


def later(act: Callable[[], None]) -> None:
    """Run a function on a thread; it has to handle its own errors."""
    threading.Thread(target=act, name="akto-aside", daemon=True).start()


def within(seconds: float, act: Callable[[], T]) -> T:
    """Run a function on a thread and return its result, or raise its error, within this many seconds.

    Raises:
        TimeoutError: it takes longer; it is not stopped.
    """
    return begin(act).result(seconds)


def begin(act: Callable[[], T]) -> Future[T]:
    """Run a function on a thread that does not keep the process from exiting; returns a future."""
    found: Future[T] = Future()
    later(lambda: _find_out(act, found))
    return found


def _find_out(act: Callable[[], T], found: Future[T]) -> None:
    found.set_running_or_notify_cancel()
    try:
        found.set_result(act())
    except Exception as error:  # noqa: BLE001 - it is raised where the result is waited for
        found.set_exception(error)
