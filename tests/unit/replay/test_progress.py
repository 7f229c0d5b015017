"""Progress of a replay, and entries in flight."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.replay.checkpoint import FileVersion
from akto_mirror.replay.progress import InFlight, Origin, Progress, TrackingSink

VERSION = FileVersion(10, 20, "options")


@given(begun=st.integers(0, 20), finished=st.sets(st.integers(0, 19)))
def test_what_was_begun_and_not_finished_is_missing(begun: int, finished: set[int]) -> None:
    """A flow is done only if it was begun and finished."""
    progress = Progress()
    for number in range(begun):
        progress.begin(number)
        if number in finished:
            progress.finish(number)
    again = Progress(progress.seen, progress.missing())
    for one in (progress, again):
        assert [number for number in range(25) if one.is_done(number)] == sorted(finished & set(range(begun)))
        assert one.open == len(one.missing())


def test_equal_entries_finish_one_flow_each() -> None:
    """Of three equal entries of which two have arrived, one flow stays open."""
    progress, in_flight = Progress(), InFlight()
    for number in range(3):
        progress.begin(number)
        in_flight.add(b"same", Origin(progress, number))
    in_flight.arrive([b"same", b"same", b"unknown"])
    assert (in_flight.shipped, progress.open) == (2, 1)
    assert in_flight.remove(b"same") == Origin(progress, 2)
    assert in_flight.remove(b"same") is None


class Answering:
    """A sink that returns the given statuses, one after the other."""

    def __init__(self, *statuses: int | None) -> None:
        self._statuses = list(statuses)
        self.calls: list[str] = []

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Return the next status."""
        del entries, timeout_s
        return SendResult(self._statuses.pop(0))

    def is_healthy(self, timeout_s: float) -> bool:
        """Be healthy."""
        self.calls.append(f"is_healthy {timeout_s}")
        return True

    def abort(self) -> None:
        """Record the call."""
        self.calls.append("abort")

    def close(self) -> None:
        """Record the call."""
        self.calls.append("close")


def test_only_what_was_taken_is_finished() -> None:
    """A failed batch leaves its flows open and keeps the failure; a delivered one finishes its flows and clears it."""
    progress, in_flight = Progress(), InFlight()
    progress.begin(0)
    in_flight.add(b"entry", Origin(progress, 0))
    inner = Answering(None, 401, 503, 200)
    sink = TrackingSink(inner, in_flight)
    for status in (None, 401, 503):
        assert sink.send([b"entry"], 1).status == status
        assert sink.failure == SendResult(status)
        assert (in_flight.shipped, progress.open) == (0, 1)
    assert sink.send([b"entry"], 1).status == 200
    assert (sink.failure, in_flight.shipped, progress.open) == (None, 1, 0)
    assert sink.is_healthy(2)
    sink.abort()
    sink.close()
    assert inner.calls == ["is_healthy 2", "abort", "close"]
