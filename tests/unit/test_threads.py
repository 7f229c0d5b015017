"""Slow work on a thread, away from the event loop."""

from __future__ import annotations

import threading

import pytest

from akto_mirror import threads


def test_what_a_thread_finds_out_is_returned_or_raised() -> None:
    """The result or the exception of a thread reaches the caller."""

    def fail() -> None:
        raise ZeroDivisionError

    assert threads.within(60, threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        threads.within(60, fail)


def test_what_takes_too_long_is_left_to_itself() -> None:
    """Work that takes too long goes on, on a daemon thread that does not keep the process from ending."""
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
