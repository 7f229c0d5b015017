"""Ships recorded flows by the addon's own rules, entries and shipper, without a proxy."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitmproxy import http

from akto_mirror import bookmark, outcomes, recording
from akto_mirror.accounts import Stats
from akto_mirror.bookmark import Bookmark, Edition
from akto_mirror.capture.entry import Captured
from akto_mirror.config import declarations
from akto_mirror.config.options import Settings
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks import choose
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.symptoms import Kind, blames_entries
from akto_mirror.escaping import printable
from akto_mirror.ledger import Ledger, Manifest, ReceiptSink
from akto_mirror.outcomes import Dropped, Reason, Skip
from akto_mirror.progress import Bar
from akto_mirror.recording import Record, UnreadableError
from akto_mirror.verdicts import Verdicts

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

# Seconds between two looks at the shipper, and between two bookmarks.
LOOK_S = 0.02
SAVE_S = 2.0

# Options that do not decide which flows are shipped, nor what their entries hold.
DELIVERY = (
    *("akto_url", "akto_uds", "akto_token", "akto_batch_", "akto_linger_", "akto_queue_", "akto_durability"),
    *("akto_spool_", "akto_timeout_", "akto_shutdown_", "akto_stream", "akto_metrics", "akto_mark", "akto_h2c"),
)

# Those that do, and that the first version had.
FIRST_OPTIONS = frozenset(
    {
        *("akto_account_id", "akto_body_limit", "akto_client_ip_header", "akto_fidelity", "akto_filter", "akto_host"),
        *(
            "akto_include_query",
            "akto_redact_fields",
            "akto_redact_headers",
            "akto_routes",
            "akto_tag",
            "akto_vxlan_id",
        ),
    }
)


class GiveUpError(Exception):
    """The destination takes nothing; the text says why."""


@dataclass(frozen=True)
class Job:
    """What to replay.

    Attributes:
        files: flow files and HAR files, in their order.
        values: the options' values, by their names.
        settings: the same, read.
        rewrite_time: give each entry the time at which it is shipped.
        resume: go on where an earlier replay of the same files to the same destination was.
    """

    files: Sequence[Path]
    values: Mapping[str, Any]
    settings: Settings
    rewrite_time: bool = False
    resume: bool = False

    def fingerprint(self) -> str:
        """Return what decides which flows are shipped and what their entries hold, as a short text.

        An option that has come since counts only where it is set, so that bookmarks outlive it.
        """
        defaults = {option.name: _text(option.default) for option in declarations.OPTIONS}
        known = {
            name: value
            for name, value in self.values.items()
            if not name.startswith(DELIVERY) and (name in FIRST_OPTIONS or _text(value) != defaults[name])
        }
        return hashlib.sha256(_text(known).encode()).hexdigest()[:16]


@dataclass
class Tally:
    """What became of the flows read; what is neither here nor shipped was not shipped."""

    flows: int = 0
    before: int = 0
    foreign: int = 0
    unreadable: int = 0
    faults: int = 0
    captured: int = 0
    shortened: int = 0
    skipped: Counter[Reason] = field(default_factory=Counter)

    def eligible(self) -> int:
        """Return the number of flows that are to be shipped, one under way at an interrupt included."""
        return self.flows - self.before - self.foreign - self.unreadable - self.faults - self.skipped.total()


class Replay:
    """Reads files and decides; what is done with the entries is up to `take`.

    Args:
        job: what to replay.
        bar: where progress and faults are shown.
    """

    def __init__(self, job: Job, bar: Bar) -> None:
        self.tally = Tally()
        self.complete = True
        self._job = job
        self._bar = bar
        self._verdicts = Verdicts(job.settings, rewrite_time=job.rewrite_time)
        self._sizes = [_size(path) for path in job.files]
        self._share = 0.0

    @property
    def settled(self) -> int:
        """The number of flows with which nothing more will happen."""
        return self.tally.flows

    def complain(self, text: str) -> None:
        """Tell of something that makes the replay incomplete."""
        self.complete = False
        self._bar.tell(f"akto-mirror replay: {text}")

    def read_all(self) -> None:
        """Go through all files; what cannot be read is told, and the rest is read all the same."""
        for number, path in enumerate(self._job.files):
            try:
                self._read(number, path)
            except UnreadableError as fault:
                self.complain(f"{printable(str(path))}: {fault}")
            except OSError as fault:
                self.complain(f"cannot read {printable(str(path))}: {fault.strerror or fault}")

    def _read(self, number: int, path: Path) -> None:
        ledger = self.ledger_of(path)
        before, whole = sum(self._sizes[:number]), max(1, sum(self._sizes))
        for index, record in enumerate(recording.read(path)):
            self._share = (before + self._sizes[number] * record.share) / whole
            self.tally.flows += 1
            if ledger.is_done(index):
                self.tally.before += 1
                continue
            ledger.begin(index)
            self._look_at(record, path, ledger, index)
            self.tick()

    def _look_at(self, record: Record, path: Path, ledger: Ledger, index: int) -> None:
        if record.fault:
            self.tally.unreadable += 1
            return self.complain(f"{printable(str(path))}: {record.fault}")
        if record.flow is None:
            self.tally.foreign += 1
            return ledger.settle(index)
        try:
            verdict = self._verdicts.of(record.flow)
        except Exception as fault:  # noqa: BLE001 - one odd flow is counted and told, and the others are shipped
            self.tally.faults += 1
            what = printable(f"{type(fault).__name__}: {fault}")
            return self.complain(f"{printable(str(path))}: flow {index + 1}: {what}; please report this")
        return self._follow(record.flow, verdict, ledger, index)

    def _follow(self, flow: http.HTTPFlow, verdict: Captured | Skip, ledger: Ledger, index: int) -> None:
        self.show(flow, verdict)
        if isinstance(verdict, Skip):
            self.tally.skipped[verdict.reason] += 1
            ledger.settle(index)
        else:
            self.tally.captured += 1
            self.tally.shortened += verdict.is_shortened
            self.take(verdict.encoded, ledger, index)

    def ledger_of(self, path: Path) -> Ledger:
        """Return the ledger of a file."""
        del path
        return Ledger()

    def show(self, flow: http.HTTPFlow, verdict: Captured | Skip) -> None:
        """Show a verdict to people."""

    def take(self, encoded: bytes, ledger: Ledger, index: int) -> None:
        """Do with an entry what is to be done with it."""

    def tick(self) -> None:
        """Do what is due from time to time."""
        whole = max(1, self.tally.flows)
        self._bar.show(self._share * self.settled / whole, self.settled)


class DryRun(Replay):
    """Shows every verdict, and ships nothing.

    Args:
        job: what to replay.
        bar: where faults are shown.
        say: shows a line.
    """

    def __init__(self, job: Job, bar: Bar, say: Callable[[str], None]) -> None:
        super().__init__(job, bar)
        self._say = say

    def show(self, flow: http.HTTPFlow, verdict: Captured | Skip) -> None:
        """Show one line of the table of verdicts."""
        shown = outcomes.foreseen(verdict)
        status = flow.response.status_code if flow.response else "-"
        request = printable(f"{flow.request.method:<7} {flow.request.pretty_url}")
        self._say(f"{shown:<40} {status:>3} {request}")

    def tick(self) -> None:
        """Show nothing: the table grows instead."""

    def run(self) -> int:
        """Show the table and its sum; the exit code is 1 if something could not be read."""
        self.read_all()
        self._say(f"dry run, nothing is sent: {_sum(self.tally, f'{self.tally.captured} to ship')}")
        return 0 if self.complete else 1


class Shipping(Replay):
    """Ships the entries.

    The recording is what survives a failure: entries wait in memory only, and a replay that is resumed makes anew those
    that had not arrived. One whose arrival was not confirmed in time is shipped twice.

    Args:
        job: what to replay.
        bar: where progress is shown.
    """

    def __init__(self, job: Job, bar: Bar) -> None:
        super().__init__(job, bar)
        settings = job.settings
        self._stats = Stats()
        self._manifest = Manifest()
        self._sink = ReceiptSink(choose.sink(settings.sink, self._verdicts.marker), self._manifest)
        self._shipper = Shipper(settings.delivery, self._sink, self._stats)
        self._patience_s = settings.delivery.timeout_s + settings.delivery.shutdown_s
        self._room = settings.delivery.queue_bytes // 2
        self._told = False
        self._places: list[tuple[Bookmark, Edition, Ledger]] = []
        self._folder = self._bookmarks()
        self._save_at = time.monotonic() + SAVE_S

    @property
    def settled(self) -> int:
        """The number of flows that were skipped or have arrived."""
        return self.tally.flows - self.tally.captured + self._manifest.shipped

    def run(self) -> int:
        """Ship all there is; 0 if all has arrived, 1 if not, 130 if interrupted."""
        code = 0
        self._bar.show(0.0, 0)
        try:
            self.read_all()
            self._wait(lambda: not self._stats.snapshot().pending)
        except GiveUpError as fault:
            self.complain(f"given up: {fault}")
            self._shipper.hurry()
        except KeyboardInterrupt:
            code = 130
            self._bar.tell("akto-mirror replay: interrupted; sending what has been read (again to stop at once)")
        self._close()
        self._save()
        if code or self._left():
            self._bar.tell("akto-mirror replay: not all has arrived; the same command with --resume goes on from here")
        return code or (0 if self.complete and not self._left() else 1)

    def summary(self) -> str:
        """Return what became of all flows, in one line that adds up."""
        return _sum(self.tally, f"{self._manifest.shipped} shipped", self._lost())

    def ledger_of(self, path: Path) -> Ledger:
        """Return the ledger of a file, from its bookmark if the replay goes on."""
        edition = Edition.of(path, self._job.fingerprint())
        if self._folder is None:
            return Ledger()
        sink = self._job.settings.sink
        place = Bookmark(self._folder, path, f"{sink.destination.url} {sink.uds}")
        ledger = (place.load(edition) if self._job.resume else None) or Ledger()
        self._places.append((place, edition, ledger))
        return ledger

    def take(self, encoded: bytes, ledger: Ledger, index: int) -> None:
        """Offer an entry to the shipper, when it has room."""
        if not self._has_room(len(encoded)):
            self._wait(lambda: self._has_room(len(encoded)))
        self._manifest.add(encoded, ledger, index)
        if self._shipper.offer(encoded) is not None:
            self._manifest.remove(encoded)

    def tick(self) -> None:
        """Show progress, and save the bookmarks."""
        super().tick()
        if time.monotonic() >= self._save_at:
            self._save()
            self._save_at = time.monotonic() + SAVE_S

    def _has_room(self, size: int) -> bool:
        waiting = self._shipper.queue_bytes
        return not waiting or waiting + size <= self._room

    def _bookmarks(self) -> Path | None:
        try:
            return bookmark.folder(os.environ)
        except (OSError, ValueError) as fault:
            self._bar.tell(f"akto-mirror replay: an interrupt could not be resumed: {printable(str(fault))}")
            return None

    def _save(self) -> None:
        try:
            for place, edition, ledger in self._places:
                place.save(edition, ledger)
        except OSError as fault:
            self._bar.tell(f"akto-mirror replay: an interrupt could not be resumed: {printable(str(fault))}")
            self._places.clear()

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Wait for the shipper.

        Raises:
            GiveUpError: the destination refuses everything, or nothing has arrived for a time.
        """
        self._shipper.flush()
        until, settled = time.monotonic() + self._patience_s, -1
        while not ready():
            self._look_at_trouble(self._sink.trouble)
            if settled != self.settled:
                until, settled = time.monotonic() + self._patience_s, self.settled
            if time.monotonic() > until:
                raise GiveUpError(f"nothing was taken for {self._patience_s} s")
            self.tick()
            time.sleep(LOOK_S)

    def _look_at_trouble(self, trouble: SendResult | None) -> None:
        """Tell of the first failed try in a row, and give up where waiting does not mend it, as with a wrong token."""
        if trouble is None:
            self._told = False
            return
        if trouble.kind in (Kind.AUTH, Kind.SETUP) and not blames_entries(trouble.status):
            raise GiveUpError(_why(trouble))
        if not self._told:
            self._told = True
            self._bar.tell(f"akto-mirror replay: cannot deliver: {_why(trouble)}; trying again")

    def _close(self) -> None:
        """Wait until the shipper has sent what it can, as long as nobody interrupts."""
        try:
            ended = self._shipper.close()
            while not ended.done():
                self.tick()
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            self._shipper.hurry()
        self._bar.clear()

    def _left(self) -> int:
        return self.tally.eligible() - self._manifest.shipped

    def _lost(self) -> Counter[str]:
        """Return how many flows were to be shipped and were not, by the reason."""
        now = self._stats.snapshot()
        lost = Counter({str(reason): count for reason, count in now.dropped.items() if reason is not Dropped.SHUTDOWN})
        lost["refused for good"] = now.rejected
        lost["not sent"] = self._left() - lost.total()
        return +lost


def _sum(tally: Tally, shipped: str, lost: Counter[str] | None = None) -> str:
    parts = [shipped, f"{tally.skipped.total()} skipped{_reasons(tally.skipped)}"]
    if tally.before:
        parts.append(f"{tally.before} done before")
    if tally.foreign:
        parts.append(f"{tally.foreign} not HTTP")
    if tally.unreadable + tally.faults:
        parts.append(f"{tally.unreadable + tally.faults} unreadable")
    if lost:
        parts.append(f"{lost.total()} not shipped{_reasons(lost)}")
    shortened = f"; shortened because too large: {tally.shortened}" if tally.shortened else ""
    return f"{tally.flows} {'flow' if tally.flows == 1 else 'flows'} = {' + '.join(parts)}{shortened}"


def _reasons(counts: Mapping[Any, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in counts.items())})" if counts else ""


def _why(trouble: SendResult) -> str:
    what = trouble.told if trouble.status is None else f"answer {trouble.told}"
    return what + (f"; {trouble.hint}" if trouble.hint else "")


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=list)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Warnings(logging.Handler):
    """Shows above the bar what the shipper warns of, but for failed tries, which a replay tells in its own words."""

    def __init__(self, bar: Bar) -> None:
        super().__init__(logging.WARNING)
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().removeprefix("akto: ")
        if not text.startswith("cannot deliver"):
            self._bar.tell(f"akto-mirror replay: {text}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def run(job: Job, say: Callable[[str], None], *, dry_run: bool, quiet: bool) -> int:
    """Replay files.

    Args:
        job: what to replay.
        say: shows a line of the result.
        dry_run: show verdicts, send nothing.
        quiet: no progress bar.

    Returns:
        0 if all was read and shipped, 1 if not, 130 after an interrupt.
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
