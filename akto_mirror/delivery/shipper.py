"""The shipper: takes entries from a bounded queue and delivers them.

Its thread consumes the queue, owns the spool and makes all decisions, in plain blocking code; the sender's thread waits
for the destination. So neither a slow Akto nor a slow disk can block the proxy's event loop, which only appends to the
queue, and a slow Akto cannot keep entries from being written to disk.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
import time
from concurrent.futures import Future

from akto_mirror import counts
from akto_mirror.accounts import Stats
from akto_mirror.delivery.policy import Policy
from akto_mirror.delivery.queue import Queue
from akto_mirror.delivery.report import is_round
from akto_mirror.delivery.results import Attempt, Moment
from akto_mirror.delivery.scheduler import Scheduler
from akto_mirror.delivery.sender import Sender
from akto_mirror.delivery.sinks.base import Sink
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.delivery.store import Store
from akto_mirror.outcomes import Dropped, Outcome

logger = logging.getLogger(__name__)

# The log line for an error in the shipper itself, and the pause after it: the thread neither dies nor spins.
ERROR = "akto: internal error in the shipper; please report this"
FAULT_PAUSE_S = 1.0

# Seconds that an aborted attempt may take to end.
ABORT_S = 0.5

# Seconds after its deadline in which a flush may write the rest to disk; after that the exit no longer waits.
DISK_S = 5.0


class Shipper:
    """Owns the queue, the spool, the sink and the threads, which start with the first entry.

    Args:
        policy: how to deliver.
        sink: the sink to send to; the shipper owns it from now on.
        stats: where outcomes are counted.
    """

    def __init__(self, policy: Policy, sink: Sink, stats: Stats) -> None:
        self.stats = stats
        self._policy = policy
        self._sink = sink
        self._queue = Queue(policy.queue_bytes, policy.limits)
        self._changed = self._queue.changed
        self._sender = Sender(self._queue.wake)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._scheduler = self._new_scheduler(policy)
        self._change: tuple[Policy, Sink | None] | None = None
        self._patient = False
        self._hurried = False
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self._failed_starts = 0
        self._over = False
        self._is_done = False
        self._ended: Future[None] = Future()

    def start(self) -> None:
        """Start sending the entries that an earlier process has left in the spool, before there are new ones."""
        with self._changed:
            if self._policy.spool is not None:
                self._start()

    def offer(self, entry: bytes) -> Dropped | None:
        """Queue one encoded entry; if that is not possible, count it as dropped and return the reason."""
        with self._changed:
            refusal = self._queue.refusal(len(entry))
            if refusal is None:
                self._put(entry)
                return None
        count = self.stats.lose(refusal)
        if is_round(count):
            logger.warning("akto: dropped an entry: %s (%d so far)", refusal, count)
        return refusal

    def is_crowded(self) -> bool:
        """Return whether more than a quarter of the queue's memory is in use: producers that can wait should do so."""
        return self._queue.is_crowded()

    @property
    def queue_bytes(self) -> int:
        """Bytes of memory that entries take."""
        return self._queue.size

    @property
    def oldest_s(self) -> float:
        """Age in seconds of the oldest entry that waits in memory or is being sent; 0 if there is none."""
        return max(0.0, time.monotonic() - self._scheduler.since())

    def reconfigure(self, policy: Policy, sink: Sink | None) -> None:
        """Use another policy and, unless None, another sink from the next batch on."""
        with self._changed:
            pending = self._change[1] if self._change else None
            if sink is not None and pending is not None:
                pending.close()
            self._change = (policy, sink or pending)
            self._queue.limit, self._queue.limits = policy.queue_bytes, policy.limits
            if self._thread is None:
                self._apply_change()
            self._queue.wake()

    def flush(self) -> None:
        """Send all queued entries without waiting for full batches; returns at once."""
        self._queue.flush()

    def close(self, *, patient: bool = False) -> Future[None]:
        """Send the remaining entries, for `shutdown_s` seconds; then write the rest to disk, or count it as dropped.

        Args:
            patient: restart the time limit with every batch that arrives: for replays, which may take long.

        Returns:
            A future that is done when the threads have ended.
        """
        with self._changed:
            self._patient = patient
            self._deadline = time.monotonic() + self._policy.shutdown_s
            self._queue.wake()
            ended = self._ended
            started = self._thread is not None
        if not started:
            self._end()
        elif not patient:
            self._stop_waiting_in(self._policy.shutdown_s + DISK_S)
        return ended

    def hurry(self) -> None:
        """End a `close` now: unsent entries are written to disk, or counted as dropped."""
        with self._changed:
            self._hurried = True
            self._queue.wake()

    def _put(self, entry: bytes) -> None:
        self.stats.capture()
        self._queue.put(entry, time.monotonic())
        self._start()

    def _start(self) -> None:
        """Start the thread, unless it runs; if the system cannot start one, the next entry tries again."""
        if self._thread is not None or self._over:
            return
        thread = threading.Thread(target=self._run, name="akto-shipper", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._failed_starts += 1
            if is_round(self._failed_starts):
                logger.warning("akto: %s; entries wait in memory, and the next entry tries again", error)
        else:
            self._thread = thread

    def _stop_waiting_in(self, seconds: float) -> None:
        """Allow the process to exit even if the disk hangs."""
        watchdog = threading.Timer(seconds, self._stop_waiting)
        watchdog.daemon = True
        try:
            watchdog.start()
        except RuntimeError as error:
            logger.warning("akto: %s; the exit waits for the disk as long as that takes", error)
        self._ended.add_done_callback(lambda _: watchdog.cancel())

    def _stop_waiting(self) -> None:
        left = self.stats.count(Outcome.QUEUED) + self.stats.count(Outcome.IN_FLIGHT)
        if left and not self._ended.done():
            entries = counts.count(left, "entry")
            logger.warning("akto: the disk takes too long; %s may not have been written at the exit", entries)
        _finish(self._ended)

    def _new_scheduler(self, policy: Policy) -> Scheduler:
        return Scheduler(
            self._queue,
            Store(self._new_spool(policy), self.stats),
            self.stats,
            durability=policy.durability,
            pace=policy.pace,
            chance=random.random,
        )

    def _new_spool(self, policy: Policy) -> Spool | None:
        plan = policy.spool
        if plan is None or not policy.place:
            return None
        return Spool(plan.folder, target=plan.target, limit=plan.limit, owner=self._owner, lease_s=plan.lease_s)

    def _run(self) -> None:
        try:
            while not (self._is_done or self._hurried):
                try:
                    self._step()
                except Exception:
                    logger.warning(ERROR, exc_info=True)
                    time.sleep(FAULT_PAUSE_S)
        finally:
            self._end()

    def _step(self) -> None:
        """Do what is due; then wait until something is due or has changed."""
        now, done = time.monotonic(), self._sender.receive()
        if done is not None and done.delivers and self._patient and self._deadline is not None:
            self._deadline = now + self._policy.shutdown_s
        step = self._scheduler.tick(Moment(now, time.time()), done, self._deadline, sends=self._change is None)
        if step.batch is not None:
            self._sender.send(step.batch, self._sink, self._timeout_s(now), asks_health=step.asks_health)
        if self._change is not None and self._sender.batch is None:
            return self._apply_change()
        self._is_done = step.is_over
        if not step.is_over:
            self._queue.wait(step.wait_s)
        return None

    def _timeout_s(self, now: float) -> float:
        left = self._policy.timeout_s if self._deadline is None else self._deadline - now
        return max(0.05, min(left, self._policy.timeout_s))

    def _apply_change(self) -> None:
        with self._changed:
            change, self._change = self._change, None
        if change is None:
            return
        before, (policy, sink) = self._policy, change
        self._policy = policy
        if sink is not None:
            self._sink.close()
            self._sink = sink
        store = None if before.place == policy.place else Store(self._new_spool(policy), self.stats)
        self._scheduler.reconfigure(policy, store, time.monotonic())

    def _end(self) -> None:
        """Abort a running attempt, spool or drop the rest, including entries that still arrive, and end."""
        try:
            done = self._cut_short()
            with self._changed:
                if self._deadline is None and not self._hurried and self._thread is not None:
                    logger.warning("akto: the shipper ended unexpectedly; please report this")
                self._over = True
            self._close(done)
            pending = [self._change[1]] if self._change and self._change[1] else []
            self._sender.stop([self._sink, *pending], ABORT_S)
        finally:
            _finish(self._ended)

    def _close(self, done: Attempt | None) -> None:
        try:
            self._scheduler.close(Moment(time.monotonic(), time.time()), done)
        except Exception:
            logger.warning(ERROR, exc_info=True)

    def _cut_short(self) -> Attempt | None:
        """Abort a running attempt, and wait a limited time for its end."""
        if self._sender.batch is not None:
            self._sink.abort()
            with self._changed:
                self._changed.wait_for(lambda: self._sender.done is not None, ABORT_S)
        return self._sender.receive()


def _finish(ended: Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
