"""Ships the entries of recorded flows with the addon's own shipper, without a proxy."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from akto_mirror.accounts import Stats
from akto_mirror.delivery import Kind, SendResult, Shipper, open_sink
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Dropped
from akto_mirror.replay import checkpoint
from akto_mirror.replay.checkpoint import Checkpoint, FileVersion, Start
from akto_mirror.replay.dry_run import DryRun
from akto_mirror.replay.job import Job
from akto_mirror.replay.progress import InFlight, Origin, Progress, TrackingSink
from akto_mirror.replay.progress_bar import Bar
from akto_mirror.replay.reader import Reader

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

# Seconds between two checks of the shipper, and between two checkpoints.
LOOK_S = 0.02
SAVE_S = 2.0


class GiveUpError(Exception):
    """The destination accepts nothing; the text says why."""


class Shipping(Reader):
    """Ships the entries.

    Entries wait in memory only, because the recording survives a failure: a resumed replay rebuilds those that had
    not arrived. One whose arrival was not confirmed in time is shipped twice.

    Args:
        job: what to replay.
        bar: where progress is shown.
    """

    def __init__(self, job: Job, bar: Bar) -> None:
        super().__init__(job, bar)
        settings = job.settings
        self._stats = Stats()
        self._in_flight = InFlight()
        self._sink = TrackingSink(open_sink(settings.sink, self._decider.marker), self._in_flight)
        self._shipper = Shipper(settings.delivery, self._sink, self._stats)
        self._patience_s = settings.delivery.timeout_s + settings.delivery.shutdown_s
        self._room = settings.delivery.queue_bytes // 2
        self._reported = False
        self._places: list[tuple[Checkpoint, FileVersion, Progress]] = []
        self._folder = self._checkpoint_folder()
        self._save_at = time.monotonic() + SAVE_S

    @property
    def finished(self) -> int:
        """The number of flows that were skipped or have arrived."""
        return self.tally.flows - self.tally.captured + self._in_flight.shipped

    def run(self) -> int:
        """Ship all entries; return 0 if everything was read and has arrived, 1 if not, 130 if interrupted."""
        code = 0
        self._bar.show(0.0, 0)
        try:
            self.read_all()
            self._wait(lambda: not self._stats.snapshot().pending)
        except GiveUpError as error:
            self.complain(f"given up: {error}")
            self._shipper.hurry()
        except KeyboardInterrupt:
            code = 130
            self.note("interrupted; sending the entries read so far (interrupt again to stop at once)")
        self._close()
        self._save()
        if code or self._left():
            self.note("not everything has arrived; run the same command with --resume to continue")
        return code or (0 if self.complete and not self._left() else 1)

    def summary(self) -> str:
        """Return the outcomes of all flows, in one line that adds up."""
        return self.tally.line(f"{self._in_flight.shipped} shipped", self._lost())

    def start_of(self, path: Path) -> Start:
        """Return the start of the replay of a file, from its checkpoint if the replay is resumed, and report it."""
        version = FileVersion.of(path, self._job.fingerprint())
        if self._folder is None:
            return Start()
        sink = self._job.settings.sink
        place = Checkpoint(self._folder, path, f"{sink.destination.url} {sink.uds}")
        start = place.resume(version) if self._job.resume else place.start()
        if start.note:
            self.note(f"{printable(str(path))}: {start.note}")
        self._places.append((place, version, start.progress))
        return start

    def take(self, encoded: bytes, origin: Origin) -> None:
        """Wait until the shipper has room for an entry, and offer it."""
        self._look_at_failure(self._sink.failure)
        if not self._has_room(len(encoded)):
            self._wait(lambda: self._has_room(len(encoded)))
        self._in_flight.add(encoded, origin)
        if self._shipper.offer(encoded) is not None:
            self._in_flight.remove(encoded)

    def tick(self) -> None:
        """Show progress, and save the checkpoints."""
        super().tick()
        if time.monotonic() >= self._save_at:
            self._save()
            self._save_at = time.monotonic() + SAVE_S

    def _has_room(self, size: int) -> bool:
        waiting = self._shipper.queue_bytes
        return not waiting or waiting + size <= self._room

    def _checkpoint_folder(self) -> Path | None:
        try:
            return checkpoint.folder(os.environ)
        except (OSError, ValueError) as error:
            self.note(f"if interrupted, this replay cannot be resumed: {printable(str(error))}")
            return None

    def _save(self) -> None:
        try:
            for place, version, progress in self._places:
                place.save(version, progress)
        except OSError as error:
            self.note(f"if interrupted, this replay cannot be resumed: {printable(str(error))}")
            self._places.clear()

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Wait for the shipper.

        Raises:
            GiveUpError: the destination refuses everything, or nothing has arrived for `_patience_s` seconds.
        """
        self._shipper.flush()
        until, finished = time.monotonic() + self._patience_s, -1
        while not ready():
            self._look_at_failure(self._sink.failure)
            if finished != self.finished:
                until, finished = time.monotonic() + self._patience_s, self.finished
            if time.monotonic() > until:
                raise GiveUpError(f"nothing has arrived for {self._patience_s} s")
            self.tick()
            time.sleep(LOOK_S)

    def _look_at_failure(self, failure: SendResult | None) -> None:
        """Report the first of several failed attempts, and give up if waiting does not help, as with a wrong token.

        Raises:
            GiveUpError: waiting does not help.
        """
        if failure is None:
            self._reported = False
            return
        if failure.kind in (Kind.AUTH, Kind.SETUP) and not failure.blames_entries:
            raise GiveUpError(failure.explained)
        if not self._reported:
            self._reported = True
            self.note(f"cannot deliver: {failure.explained}; trying again")

    def _close(self) -> None:
        """Wait until the shipper has sent what it can, unless it is interrupted."""
        try:
            ended = self._shipper.close()
            while not ended.done():
                self.tick()
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            self._shipper.hurry()
        self._bar.clear()

    def _left(self) -> int:
        return self.tally.eligible() - self._in_flight.shipped

    def _lost(self) -> Counter[str]:
        """Return how many flows should have been shipped but were not, by reason."""
        now = self._stats.snapshot()
        lost = Counter({str(reason): count for reason, count in now.dropped.items() if reason is not Dropped.SHUTDOWN})
        lost["refused for good"] = now.rejected
        lost["not sent"] = self._left() - lost.total()
        return +lost


class _Warnings(logging.Handler):
    """Shows the shipper's warnings above the bar, except failed attempts, which a replay reports itself."""

    def __init__(self, bar: Bar) -> None:
        super().__init__(logging.WARNING)
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().removeprefix("akto: ")
        if not text.startswith("cannot deliver"):
            self._bar.write(f"akto-mirror replay: {text}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def run(job: Job, say: Callable[[str], None], *, dry_run: bool, quiet: bool) -> int:
    """Replay files.

    Args:
        job: what to replay.
        say: shows a line of the result.
        dry_run: whether to show decisions and send nothing.
        quiet: whether to show no progress bar.

    Returns:
        0 if everything was read and shipped, 1 if not, 130 after an interrupt.
    """
    bar = Bar(quiet=quiet)
    if dry_run:
        return DryRun(job, bar, say).run()
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    log, warnings = logging.getLogger("akto_mirror"), _Warnings(bar)
    log.addHandler(warnings)
    try:
        shipping = Shipping(job, bar)
        code = shipping.run()
        say(f"replayed {shipping.summary()}")
    finally:
        log.removeHandler(warnings)
    return code
