"""Work that may take long, away from the event loop."""

from __future__ import annotations

import threading

import pytest

from akto_mirror import threads


def test_what_a_thread_finds_out_is_returned_or_raised() -> None:
    """In the caller's thread."""

    def fail() -> None:
        raise ZeroDivisionError

    assert threads.within(60, threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        threads.within(60, fail)


def test_what_takes_too_long_is_left_to_itself() -> None:
    """It is not stopped, and keeps no process from ending."""
    go, ended = threading.Event(), threading.Event()

    def work() -> bool:
        assert threading.current_thread().daemon
        go.wait(60)
        ended.set()
        return True

    with pytest.raises(TimeoutError):
        threads.within(0.01, work)
    go.set()
    assert ended.wait(60)
