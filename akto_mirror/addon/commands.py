"""The `akto.` commands, for the command lines of mitmproxy and mitmweb and for key bindings."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import cast

from mitmproxy import command, ctx, exceptions, flow, http, types

from akto_mirror import threads
from akto_mirror.addon.screen import foresee
from akto_mirror.addon.session import Session
from akto_mirror.capture.capture import Capture
from akto_mirror.capture.encoding import Captured
from akto_mirror.counts import count
from akto_mirror.delivery import Shipper
from akto_mirror.diagnostics import checks
from akto_mirror.escaping import printable
from akto_mirror.outcomes import hidden, repaired
from akto_mirror.telemetry import entry_view
from akto_mirror.telemetry.observation import Observation

logger = logging.getLogger(__name__)


class Commands:
    """The `akto.` commands.

    Args:
        session: the state that the addon's parts share.
        ship: queues an entry, and shows its outcome on its flow.
    """

    name = "akto-commands"

    def __init__(self, session: Session, ship: Callable[[http.HTTPFlow, Captured, Shipper], None]) -> None:
        self.session = session
        self._ship = ship

    @command.command("akto.stats")
    def stats(self) -> str:
        """Show the outcomes of all flows and the state of the delivery: the same numbers as in the metrics."""
        try:
            seen = threads.within(threads.PATIENCE_S, self.session.observe)
        except TimeoutError:
            return f"{self.session.stats.snapshot()}; the disk is slow"
        sampling = f"; sampling {seen.sampling}" if seen.sampling else ""
        return f"{seen.counts}; {_delivery(seen)}{sampling}"

    @command.command("akto.flush")
    def flush(self) -> str:
        """Send the waiting entries now, without waiting for a batch to fill."""
        shipper, waiting = self._shipper(), self.session.stats.snapshot().pending
        shipper.flush()
        return f"sending {count(waiting, 'entry')}; see akto.stats" if waiting else "nothing is waiting to be sent"

    @command.command("akto.pause")
    def pause(self) -> str:
        """Mirror nothing until akto.resume; the traffic goes on, and what is left out is counted."""
        ctx.options.update(akto_pause=True)
        return "paused; akto.resume continues"

    @command.command("akto.resume")
    def resume(self) -> str:
        """Mirror again after akto.pause."""
        ctx.options.update(akto_pause=False)
        return "mirroring again"

    @command.command("akto.check")
    def check(self) -> str:
        """Check the connection to Akto step by step; the steps go to the event log."""
        settings = self.session.configured()
        sink, spool = settings.sink, settings.delivery.spool
        if sink.destination.scheme not in ("http", "https", "kafka"):
            raise exceptions.CommandError("akto_url names no service; there is nothing to check")
        target = checks.target_of(sink)
        folder = None if spool is None else str(spool.folder)
        try:
            return threads.within(threads.PATIENCE_S, lambda: _check(target, folder))
        except TimeoutError:
            return f"checking {printable(sink.destination.url)}; the result will be in the event log"

    @command.command("akto.preview")
    def preview(self, flows: Sequence[flow.Flow]) -> types.Data:
        """Show the entries that would be made of flows, and why a flow would be skipped."""
        capture = self._capture()
        rows = [row for each in _with_response(flows) for row in _preview(each, capture)]
        return cast(types.Data, rows)

    @command.command("akto.ship")
    def ship(self, flows: Sequence[flow.Flow]) -> str:
        """Send flows now, regardless of the capture rules, and even if they were sent before."""
        capture, shipper = self._capture(), self._shipper()
        chosen = _with_response(flows)
        for each in chosen:
            assert each.response is not None  # noqa: S101 - chosen by it; for the type checker
            self._ship(each, capture.anyway(each, each.response), shipper)
        shipper.flush()
        answer = f"sending {count(len(chosen), 'flow')}"
        logger.info("akto: %s by hand", answer)
        return f"{answer}; see akto.stats"

    def _capture(self) -> Capture:
        self.session.configured()
        assert self.session.capture is not None  # noqa: S101 - made with the settings; for the type checker
        return self.session.capture

    def _shipper(self) -> Shipper:
        if self.session.shipper is None:
            raise exceptions.CommandError("dry run: set akto_url first")
        return self.session.shipper


def _delivery(seen: Observation) -> str:
    """Write the numbers of the delivery that the counts of entries do not include."""
    counts = seen.counts
    disk = f", spool {seen.spool_bytes} bytes, dead letters {seen.dead_bytes} bytes"
    return (
        f"batches {counts.batches}, failed attempts {counts.failures}, requests took {counts.send_seconds:.3f} s,"
        f" sent {counts.sent_bytes} bytes; queue {seen.queue_bytes} of {seen.queue_limit} bytes"
        f"{disk if seen.spool_bytes is not None else ''}, oldest unshipped {seen.oldest_s:.1f} s"
    )


def _with_response(flows: Sequence[flow.Flow]) -> list[http.HTTPFlow]:
    chosen = [each for each in flows if isinstance(each, http.HTTPFlow) and each.response is not None]
    if not chosen:
        raise exceptions.CommandError("choose HTTP flows that have a response")
    return chosen


def _preview(chosen: http.HTTPFlow, capture: Capture) -> list[list[str]]:
    outcome, made = foresee(chosen, capture)
    shown = f"{outcome}{repaired(made.repairs)}{hidden(made.hidden)}"
    return [["outcome", shown], *entry_view.rows(made.entry)]


def _check(target: checks.Target | checks.KafkaTarget, folder: str | None) -> str:
    """Run the checks, writing each to the log; return a summary."""

    def say(line: str) -> None:
        logger.info("akto: %s", line)

    steps = [checks.show(step, say) for step in checks.run(target, send=False)]
    if folder is not None:
        steps.append(checks.show(checks.spool_step(folder, os.environ), say))
    wrong = next((step for step in steps if not step.ok), None)
    if wrong is None:
        return f"all is well: {', '.join(step.name for step in steps)}"
    return f"{wrong.name}: {wrong.detail}" + (f"; {wrong.hint}" if wrong.hint else "")
