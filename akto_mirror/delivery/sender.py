"""The thread that waits for the other side, so that the shipper never does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import NamedTuple

from akto_mirror.delivery.bisections import Parcel
from akto_mirror.delivery.sinks.base import SendResult, Sink
from akto_mirror.escaping import printable

# The longest that a health check may take, in seconds.
HEALTH_S = 5.0


class Job(NamedTuple):
    """One try: what to send, where to, in how many seconds, and whether a refusal is worth a health check."""

    parcel: Parcel
    sink: Sink
    timeout_s: float
    asks_health: bool


class Done(NamedTuple):
    """How a job went, and how many seconds it took."""

    job: Job
    result: SendResult
    seconds: float


class Courier:
    """Carries one parcel at a time; its thread starts with the first.

    Args:
        wake: called on the courier's thread when a job is done.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.job: Job | None = None
        self.done: Done | None = None
        self._wake = wake
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._leaving: Sequence[Sink] = ()
        self._thread: threading.Thread | None = None

    def give(self, job: Job) -> None:
        """Begin a job; the last one has been received.

        Raises:
            RuntimeError: the system has no thread to spare; nothing has begun.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="akto-courier", daemon=True)
            thread.start()
            self._thread = thread
        self._jobs.put(job)
        self.job = job

    def receive(self) -> Done | None:
        """Return the job that is done, once."""
        done = self.done
        if done is not None:
            self.job = self.done = None
        return done

    def stop(self, sinks: Sequence[Sink], seconds: float) -> None:
        """Close the sinks and end the thread as soon as it is free, but wait no longer than so many seconds."""
        if self._thread is None:
            _close(sinks)
            return
        self._leaving = sinks
        self._jobs.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            started = time.monotonic()
            result = _carry(job)
            self.done = Done(job, result, time.monotonic() - started)
            self._wake()
        _close(self._leaving)


def _carry(job: Job) -> SendResult:
    try:
        result = job.sink.send(job.parcel.entries, job.timeout_s)
        if job.asks_health and result.blames_entries:
            return replace(result, healthy=job.sink.is_healthy(min(HEALTH_S, job.timeout_s)))
    except Exception as fault:  # noqa: BLE001 - whatever a sink does, what it was given is not lost
        return SendResult(None, printable(f"{type(fault).__name__}: {fault}"))
    return result


def _close(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.close()
