"""The `akto.` commands, for the command lines of mitmproxy and mitmweb and for key bindings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import cast

import msgspec
from mitmproxy import command, exceptions, flow, http, types

from akto_mirror import outcomes, threads
from akto_mirror.accounts import Stats
from akto_mirror.addon import entry_view
from akto_mirror.addon.dead_letter_commands import LetterCommands
from akto_mirror.addon.marks import VERDICT
from akto_mirror.addon.metrics import Observation
from akto_mirror.akto_api import Entry
from akto_mirror.capture.capture import Capture
from akto_mirror.capture.entry import Captured
from akto_mirror.config.options import Settings
from akto_mirror.delivery.report import is_round
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.diagnostics import checks
from akto_mirror.escaping import printable

logger = logging.getLogger(__name__)


class Commands(LetterCommands):
    """What people can tell the addon to do; the addon itself is built on this."""

    _stats: Stats
    _settings: Settings | None
    _shipper: Shipper | None
    _capture: Capture | None

    @command.command("akto.stats")
    def stats(self) -> str:
        """Show what became of every flow, and how the delivery does: the same numbers as in the metrics."""
        try:
            seen = threads.within(threads.PATIENCE_S, self._observe)
        except TimeoutError:
            return f"{self._stats.snapshot()}; the disk is slow"
        return f"{seen.counts}; {_delivery(seen)}"

    @command.command("akto.flush")
    def flush(self) -> None:
        """Send what waits now, without waiting for a batch to fill."""
        self._sender().flush()

    @command.command("akto.check")
    def check(self) -> None:
        """Check the way to Akto step by step; the answer goes to the event log."""
        settings = self._configured()
        if not settings.sink.destination.scheme.startswith("http"):
            raise exceptions.CommandError("akto_url names no service; there is nothing to check")
        target = checks.Target(settings.sink.destination.url, token=settings.sink.token, uds=settings.sink.uds)
        threading.Thread(target=_check, args=(target,), name="akto-check", daemon=True).start()

    @command.command("akto.preview")
    def preview(self, flows: Sequence[flow.Flow]) -> types.Data:
        """Show the entries that flows would become, and why a flow would be skipped."""
        capture = self._capturing()
        rows = [row for each in _with_response(flows) for row in _preview(each, capture)]
        return cast(types.Data, rows)

    @command.command("akto.ship")
    def ship(self, flows: Sequence[flow.Flow]) -> None:
        """Send flows now, whatever the capture rules say of them, and even if they were sent before."""
        capture, sender = self._capturing(), self._sender()
        chosen = _with_response(flows)
        for each in chosen:
            assert each.response is not None  # noqa: S101 - chosen by it; for the type checker
            self._ship(each, capture.anyway(each, each.response), sender)
        sender.flush()
        logger.info("akto: sending %d flows by hand", len(chosen))

    def _count_shortened(self, made: Captured) -> None:
        if made.is_shortened and is_round(count := self._stats.shorten()):
            request = printable(f"{made.entry.method} {made.entry.path}")
            logger.warning("akto: shortened the entry of %s, which is too large (%d so far)", request, count)

    def _explain(self, chosen: http.HTTPFlow) -> str:
        """Return the text of the content view: what became of a flow, or would, and its entry."""
        if self._capture is None:
            return "# akto: the akto_ options are not in order; see the event log"
        verdict, made = _foresee(chosen, self._capture)
        return entry_view.render(made, str(chosen.metadata.get(VERDICT, verdict)))

    def _capturing(self) -> Capture:
        self._configured()
        assert self._capture is not None  # noqa: S101 - made with the settings; for the type checker
        return self._capture

    def _configured(self) -> Settings:
        if self._settings is None:
            raise exceptions.CommandError("the akto_ options are not in order; see the event log")
        return self._settings

    def _ship(self, flow: http.HTTPFlow, made: Captured, shipper: Shipper) -> None:
        """Send an entry, and let its flow show what becomes of it."""
        raise NotImplementedError

    def _observe(self) -> Observation:
        """Look at everything that is to be told."""
        raise NotImplementedError

    def _sender(self) -> Shipper:
        if self._shipper is None:
            raise exceptions.CommandError("dry run: set akto_url first")
        return self._shipper


def _delivery(seen: Observation) -> str:
    """Write the numbers of the delivery, which the counts of entries leave out."""
    counts = seen.counts
    disk = f", spool {seen.spool_bytes} bytes, dead letters {seen.dead_bytes} bytes"
    return (
        f"batches {counts.batches}, failed tries {counts.failures}, requests took {counts.send_seconds:.3f} s,"
        f" sent {counts.sent_bytes} bytes; queue {seen.queue_bytes} of {seen.queue_limit} bytes"
        f"{disk if seen.spool_bytes is not None else ''}, oldest unshipped {seen.oldest_s:.1f} s"
    )


def _with_response(flows: Sequence[flow.Flow]) -> list[http.HTTPFlow]:
    chosen = [each for each in flows if isinstance(each, http.HTTPFlow) and each.response is not None]
    if not chosen:
        raise exceptions.CommandError("choose HTTP flows that have a response")
    return chosen


def _preview(chosen: http.HTTPFlow, capture: Capture) -> list[list[str]]:
    verdict, made = _foresee(chosen, capture)
    return [["verdict", verdict], *([name, value] for name, value in msgspec.structs.asdict(made).items())]


def _foresee(chosen: http.HTTPFlow, capture: Capture) -> tuple[str, Entry]:
    """Return what the rules say of a flow that has a response, and its entry whatever they say."""
    assert chosen.response is not None  # noqa: S101 - chosen by it; for the type checker
    return outcomes.foreseen(capture.judge(chosen)), capture.anyway(chosen, chosen.response).entry


def _check(target: checks.Target) -> None:
    for step in checks.run(target, send=False):
        checks.show(step, lambda line: logger.info("akto: %s", line))
