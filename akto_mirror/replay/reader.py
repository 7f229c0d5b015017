"""Reads recorded files and decides about each flow; subclasses handle the entries."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import msgspec
from mitmproxy import http

from akto_mirror.capture import encoding
from akto_mirror.capture.encoding import Captured
from akto_mirror.counts import count, verb
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Skip
from akto_mirror.replay import checkpoint, recording
from akto_mirror.replay.checkpoint import Start
from akto_mirror.replay.entries import Decider
from akto_mirror.replay.job import Job
from akto_mirror.replay.progress import Origin
from akto_mirror.replay.progress_bar import Bar
from akto_mirror.replay.recording import Record, UnreadableError
from akto_mirror.replay.tally import Tally

# The most lines about unreadable parts of one file; further ones are only counted.
MOST_LINES = 20


class Reader:
    """Reads files, and decides about their flows.

    Args:
        job: what to replay.
        bar: where progress and errors are shown.
    """

    def __init__(self, job: Job, bar: Bar) -> None:
        self.tally = Tally()
        self.complete = True
        self._job = job
        self._bar = bar
        self._decider = Decider(job.settings)
        self._sizes = [_size(path) for path in job.files]
        self._share = 0.0
        self._lines: Counter[Path] = Counter()

    @property
    def finished(self) -> int:
        """The number of flows that are finished."""
        return self.tally.flows

    def complain(self, text: str) -> None:
        """Report something that makes the replay incomplete."""
        self.complete = False
        self.note(text)

    def note(self, text: str) -> None:
        """Write a line for the user."""
        self._bar.write(f"akto-mirror replay: {text}")

    def read_all(self) -> None:
        """Read all files; unreadable parts are reported and skipped."""
        for number, path in enumerate(self._job.files):
            try:
                self._read(number, path)
            except UnreadableError as error:
                self.complain(f"{printable(str(path))}: {error}")
            except OSError as error:
                self.complain(f"cannot read {printable(str(path))}: {error.strerror or error}")
            if (more := self._lines[path] - MOST_LINES) > 0:
                lines = f"{count(more, 'more line')} like these {verb(more, 'is')}"
                self.complain(f"{printable(str(path))}: {lines} left out")

    def _read(self, number: int, path: Path) -> None:
        start = self.start_of(path)
        before, whole = sum(self._sizes[:number]), max(1, sum(self._sizes))
        for index, record in enumerate(recording.read(path)):
            self._share = (before + self._sizes[number] * record.share) / whole
            self.tally.flows += 1
            if start.progress.is_done(index):
                self.tally.before += 1
                continue
            start.progress.begin(index)
            self._look_at(record, path, start, index)
            self.tick()

    def _look_at(self, record: Record, path: Path, start: Start, index: int) -> None:
        for note in record.notes:
            self._complain_of(path, note)
        if record.error:
            self.tally.unreadable += 1
            return self._complain_of(path, record.error)
        if record.flow is None:
            self.tally.foreign += 1
            return start.progress.finish(index)
        try:
            decision = self._decider.of(record.flow)
        except Exception as error:  # noqa: BLE001 - one odd flow is counted and reported, and the others are shipped
            self.tally.errors += 1
            what = printable(f"{type(error).__name__}: {error}")
            return self._complain_of(path, f"flow {index + 1}: {what}; please report this")
        return self._follow(record, record.flow, decision, start, index)

    def _follow(self, record: Record, flow: http.HTTPFlow, decision: Captured | Skip, start: Start, index: int) -> None:
        if isinstance(decision, Skip):
            self.show(record, flow, decision)
            self.tally.skipped[decision.reason] += 1
            return start.progress.finish(index)
        digest = self._digest(decision, has_time=record.has_time)
        if start.shipped[digest] > 0:
            start.shipped[digest] -= 1
            self.tally.before += 1
            return start.progress.finish(index)
        self.show(record, flow, decision)
        if self._job.rewrite_time:
            again = msgspec.structs.replace(decision.entry, time=str(int(time.time())))
            decision = decision._replace(entry=again, encoded=encoding.encode(again))
        self.tally.capture(record, decision)
        return self.take(decision.encoded, Origin(start.progress, index, digest))

    def _digest(self, made: Captured, *, has_time: bool) -> bytes:
        """Return an entry's digest, which covers everything that does not depend on the time of the replay."""
        if has_time:
            return checkpoint.digest(made.encoded)
        return checkpoint.digest(msgspec.json.encode(msgspec.structs.replace(made.entry, time="")))

    def _complain_of(self, path: Path, text: str) -> None:
        """Report an unreadable part of a file, but not more than `MOST_LINES`."""
        self.complete = False
        self._lines[path] += 1
        if self._lines[path] <= MOST_LINES:
            self.note(f"{printable(str(path))}: {text}")

    def start_of(self, path: Path) -> Start:
        """Return the start of the replay of a file."""
        del path
        return Start()

    def show(self, record: Record, flow: http.HTTPFlow, decision: Captured | Skip) -> None:
        """Show a decision to the user."""

    def take(self, encoded: bytes, origin: Origin) -> None:
        """Handle an entry."""

    def tick(self) -> None:
        """Do periodic work."""
        whole = max(1, self.tally.flows)
        self._bar.show(self._share * self.finished / whole, self.finished)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
