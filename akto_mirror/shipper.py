"""The sender thread: takes entries from a bounded queue and sends them in batches.

Plain blocking code in a thread of its own, so that neither a slow Akto nor a slow disk can hold up the proxy's event
loop, which only ever appends to the queue.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from akto_mirror import batch, retry
from akto_mirror.batch import Limits
from akto_mirror.entry import MAX_ENTRY_BYTES
from akto_mirror.retry import Outcome
from akto_mirror.sinks.base import SendResult, Sink
from akto_mirror.stats import Dropped, Stats

logger = logging.getLogger(__name__)

# What an entry holds in memory beside its own bytes: the bytes object's head and its place in the queue.
ENTRY_OVERHEAD = 64

# Between two log lines about the same trouble.
WARN_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How to send: `limits` of a batch, `queue_bytes` of memory, `timeout_s` a request, `shutdown_s` at the end."""

    limits: Limits
    queue_bytes: int
    timeout_s: float
    shutdown_s: float


class _Job(NamedTuple):
    entries: list[bytes]
    sink: Sink
    policy: Policy


@dataclass
class _Queue:
    """Entries that wait, and since when the oldest does (monotonic seconds)."""

    entries: deque[bytes] = field(default_factory=deque)
    size: int = 0
    since: float = 0.0

    def put(self, entry: bytes, now: float) -> None:
        if not self.entries:
            self.since = now
        self.entries.append(entry)
        self.size += len(entry) + ENTRY_OVERHEAD

    def take(self, limits: Limits, now: float) -> list[bytes]:
        taken = batch.take(self.entries, limits)
        self.size -= sum(map(len, taken)) + ENTRY_OVERHEAD * len(taken)
        self.since = now
        return taken


class Shipper:
    """Owns the queue, the sink and the thread between them, which starts with the first entry.

    Args:
        policy: how to send.
        sink: where to send to; it belongs to the shipper from now on.
        stats: where outcomes are counted.
    """

    def __init__(self, policy: Policy, sink: Sink, stats: Stats) -> None:
        self._policy = policy
        self._sink = sink
        self._stats = stats
        self._queue = _Queue()
        self._changed = threading.Condition()
        self._retired: list[Sink] = []
        self._flushing = 0
        self._patient = False
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()
        self._troubled = False
        self._warned = -WARN_EVERY_S

    def offer(self, entry: bytes) -> bool:
        """Queue one encoded entry; False if there is no room for it, which is then counted as dropped."""
        with self._changed:
            refusal = self._refusal(entry)
            if refusal is None:
                self._put(entry)
                return True
        self._stats.drop(refusal)
        return False

    def is_crowded(self) -> bool:
        """Tell whether half of the queue's memory is in use: time for whoever can wait to wait."""
        return self._queue.size > self._policy.queue_bytes // 2

    def reconfigure(self, policy: Policy, sink: Sink | None) -> None:
        """Use another policy and, unless None, another sink from the next batch on."""
        with self._changed:
            self._policy = policy
            if sink is not None:
                self._retired.append(self._sink)
                self._sink = sink
            self._changed.notify()

    def flush(self) -> None:
        """Send what is queued now, however young it is; returns at once."""
        with self._changed:
            self._flushing = len(self._queue.entries)
            self._changed.notify()

    def close(self, *, patient: bool = False) -> Future[None]:
        """Send what is left, for `shutdown_s` seconds, then count the rest as dropped.

        Args:
            patient: start the seconds anew with every batch that arrives: for replays, where nobody waits.

        Returns:
            What is done when the thread has ended.
        """
        with self._changed:
            self._patient = patient
            self._deadline = time.monotonic() + self._policy.shutdown_s
            self._changed.notify()
        if self._thread is None:
            self._end()
        else:
            self._abort_in(self._policy.shutdown_s)
        return self._ended

    def _abort_in(self, seconds: float) -> None:
        """End a request that was under way when the time was up."""
        watchdog = threading.Timer(seconds, self._abort_if_late)
        watchdog.daemon = True
        watchdog.start()
        self._ended.add_done_callback(lambda _: watchdog.cancel())

    def _abort_if_late(self) -> None:
        if self._is_late():
            self._sink.abort()

    def _refusal(self, entry: bytes) -> Dropped | None:
        if len(entry) > MAX_ENTRY_BYTES:
            return Dropped.TOO_LARGE
        if self._deadline is not None:
            return Dropped.SHUTDOWN
        fits = self._queue.size + len(entry) + ENTRY_OVERHEAD <= self._policy.queue_bytes
        return None if fits else Dropped.QUEUE_FULL

    def _put(self, entry: bytes) -> None:
        was_empty = not self._queue.entries
        self._queue.put(entry, time.monotonic())
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="akto-shipper", daemon=True)
            self._thread.start()
        elif was_empty or self._is_full():
            self._changed.notify()

    def _is_full(self) -> bool:
        return batch.is_full(len(self._queue.entries), self._queue.size, self._policy.limits)

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._deliver(job)
        except BaseException:
            logger.exception("akto: the sender thread failed; please report this")
            raise
        finally:
            self._end()

    def _end(self) -> None:
        self._stats.drop(Dropped.SHUTDOWN, len(self._queue.entries))
        self._queue = _Queue()
        self._close_retired()
        self._sink.close()
        self._ended.set_result(None)

    def _next(self) -> _Job | None:
        """Wait for the next batch; None when the end has come."""
        with self._changed:
            while (wait := self._due_in()) > 0:
                self._changed.wait(None if wait == float("inf") else wait)
            self._close_retired()
            if not self._queue.entries or self._is_late():
                return None
            entries = self._queue.take(self._policy.limits, time.monotonic())
            self._flushing = max(0, self._flushing - len(entries))
            return _Job(entries, self._sink, self._policy)

    def _due_in(self) -> float:
        """Seconds until there is something to do; 0 for now, infinity for nothing in sight."""
        if self._deadline is not None:
            return 0.0
        if not self._queue.entries:
            return float("inf")
        if self._flushing or self._is_full():
            return 0.0
        return max(0.0, self._queue.since + self._policy.limits.linger_s - time.monotonic())

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _close_retired(self) -> None:
        while self._retired:
            self._retired.pop().close()

    def _deliver(self, job: _Job) -> None:
        for tries in range(1, retry.TRIES + 1):
            started = time.monotonic()
            result = self._send(job)
            outcome = retry.judge(result)
            if outcome is Outcome.SHIPPED:
                return self._shipped(job, time.monotonic() - started)
            self._stats.fail()
            self._warn(job, result, final=outcome is Outcome.REJECTED or tries == retry.TRIES)
            if outcome is Outcome.REJECTED:
                return self._stats.reject(len(job.entries))
            if not self._pause(retry.wait_s(tries, random.random())):  # noqa: S311 - jitter
                break
        return self._stats.drop(Dropped.SHUTDOWN if self._is_late() else Dropped.UNDELIVERABLE, len(job.entries))

    def _send(self, job: _Job) -> SendResult:
        left = job.policy.timeout_s if self._deadline is None else self._deadline - time.monotonic()
        return job.sink.send(job.entries, max(0.05, min(left, job.policy.timeout_s)))

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; False if the end comes first."""
        until = time.monotonic() + seconds
        with self._changed:
            while (now := time.monotonic()) < until and not self._is_late():
                latest = until if self._deadline is None else min(until, self._deadline)
                self._changed.wait(max(0.0, latest - now))
            return not self._is_late()

    def _shipped(self, job: _Job, seconds: float) -> None:
        self._stats.ship(len(job.entries))
        if self._patient and self._deadline is not None:
            self._deadline = time.monotonic() + job.policy.shutdown_s
        if self._troubled:
            self._troubled = False
            self._warned = -WARN_EVERY_S
            logger.info("akto: sending works again")
        size = sum(map(len, job.entries))
        logger.info("akto: sent %d entries (%d bytes) in %d ms", len(job.entries), size, 1000 * seconds)

    def _warn(self, job: _Job, result: SendResult, *, final: bool) -> None:
        """Tell of a failure, the first of a row and then one in a while."""
        self._troubled = True
        now = time.monotonic()
        if now - self._warned < WARN_EVERY_S:
            return
        self._warned = now
        what = f"answer {result.status} {result.detail}".rstrip() if result.status else result.detail
        logger.warning(
            "akto: failed to send %d entries: %s (%s; %s)",
            len(job.entries),
            what,
            "given up" if final else "trying again",
            self._stats.snapshot(),
        )
