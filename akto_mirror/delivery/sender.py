"""The thread that waits for the destination, so that the shipper does not have to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import NamedTuple

from akto_mirror.delivery.batch import Batch
from akto_mirror.delivery.results import Attempt
from akto_mirror.delivery.sinks.base import SendResult, Sink
from akto_mirror.delivery.sinks.symptoms import Cause
from akto_mirror.escaping import printable

# The time limit of a health check, in seconds.
HEALTH_S = 5.0


class _Order(NamedTuple):
    batch: Batch
    sink: Sink
    timeout_s: float
    asks_health: bool


class Sender:
    """Makes one attempt at a time; its thread starts with the first.

    Args:
        wake: called when an attempt has ended, usually on the sender's thread.

    Attributes:
        batch: the batch that is being sent; None if there is none.
        done: the attempt that has ended and was not received yet.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.batch: Batch | None = None
        self.done: Attempt | None = None
        self._wake = wake
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._leaving: Sequence[Sink] = ()
        self._thread: threading.Thread | None = None

    def send(self, batch: Batch, sink: Sink, timeout_s: float, *, asks_health: bool) -> None:
        """Start an attempt; the previous one must have been received.

        Args:
            batch: the batch to send.
            sink: the sink to send it to.
            timeout_s: the seconds that it may take.
            asks_health: whether to check the health after a refusal.
        """
        self.batch = batch
        try:
            self._start()
        except RuntimeError as error:
            # This may be temporary, so it counts as a failed attempt like any other.
            self.done = Attempt(batch, SendResult(None, str(error), cause=Cause.NO_THREAD), 0.0)
            self._wake()
        else:
            self._orders.put(_Order(batch, sink, timeout_s, asks_health))

    def receive(self) -> Attempt | None:
        """Return the attempt that has ended, once."""
        done = self.done
        if done is not None:
            self.batch = self.done = None
        return done

    def stop(self, sinks: Sequence[Sink], seconds: float) -> None:
        """Close the sinks and end the thread as soon as it is idle, waiting for at most this many seconds."""
        if self._thread is None:
            _close(sinks)
            return
        self._leaving = sinks
        self._orders.put(None)
        self._thread.join(seconds)

    def _start(self) -> None:
        """Start the thread, if it does not run.

        Raises:
            RuntimeError: the system has no thread to spare.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="akto-sender", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            started = time.monotonic()
            result = _carry_out(order)
            self.done = Attempt(order.batch, result, time.monotonic() - started)
            self._wake()
        _close(self._leaving)


def _carry_out(order: _Order) -> SendResult:
    try:
        result = order.sink.send(order.batch.entries, order.timeout_s)
        if order.asks_health and result.blames_entries:
            return replace(result, healthy=order.sink.is_healthy(min(HEALTH_S, order.timeout_s)))
    except Exception as error:  # noqa: BLE001 - whatever a sink does, what it was given is not lost
        return SendResult(None, printable(f"{type(error).__name__}: {error}"))
    return result


def _close(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.close()
