"""The thread that waits for the sink."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

import pytest

from akto_mirror.delivery.batch import Batch
from akto_mirror.delivery.results import Attempt
from akto_mirror.delivery.sender import HEALTH_S, Sender
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.symptoms import Cause
from tests.support.proxy import DEADLINE

BATCH = Batch([b"{}"], 0.0)


class Scripted:
    """A sink with a given answer, which records calls."""

    def __init__(self, answer: SendResult | Exception) -> None:
        self.answer = answer
        self.threads: set[str] = set()
        self.health: list[float] = []
        self.closed = 0

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Return or raise the answer."""
        del entries, timeout_s
        self.threads.add(threading.current_thread().name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def is_healthy(self, timeout_s: float) -> bool:
        """Be healthy."""
        self.health.append(timeout_s)
        return True

    def abort(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Count the call."""
        self.closed += 1


def attempt(sink: Scripted, *, asks_health: bool = False) -> Attempt:
    """Make one attempt, and end the thread."""
    done: queue.SimpleQueue[None] = queue.SimpleQueue()
    sender = Sender(lambda: done.put(None))
    sender.send(BATCH, sink, 20.0, asks_health=asks_health)
    assert sender.batch is BATCH
    done.get(timeout=DEADLINE)
    made = sender.receive()
    assert made is not None
    assert sender.receive() is None
    sender.stop([sink], DEADLINE)
    return made


def test_the_answer_comes_from_a_thread_of_its_own() -> None:
    """The sink is called on a separate thread, which also closes it."""
    sink = Scripted(SendResult(200))
    assert attempt(sink).result == SendResult(200)
    assert sink.threads == {"akto-sender"}
    assert sink.closed == 1


def test_whatever_a_sink_raises_is_an_attempt_that_failed() -> None:
    """An error of the sink is a failed attempt with a detail of one line."""
    made = attempt(Scripted(OSError("no\nroute")))
    assert (made.batch, made.result) == (BATCH, SendResult(None, r"OSError: no\nroute"))


@pytest.mark.parametrize(
    ("status", "asks", "asked"), [(422, True, [HEALTH_S]), (422, False, []), (200, True, []), (None, True, [])]
)
def test_health_is_asked_where_entries_may_be_to_blame(status: int | None, asks: bool, asked: list[float]) -> None:
    """The health check is requested only if entries may be to blame, and on request."""
    sink = Scripted(SendResult(status))
    assert attempt(sink, asks_health=asks).result.healthy is (True if asked else None)
    assert sink.health == asked


def test_no_thread_to_spare_is_an_attempt_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be started, the attempt fails and may be repeated; the sink is closed in any case."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sink, woken = Scripted(SendResult(200)), list[None]()
    sender = Sender(lambda: woken.append(None))
    sender.send(BATCH, sink, 1.0, asks_health=False)
    made = sender.receive()
    assert made is not None
    assert (made.result.cause, len(woken)) == (Cause.NO_THREAD, 1)
    sender.stop([sink], 0.0)
    assert sink.closed == 1
