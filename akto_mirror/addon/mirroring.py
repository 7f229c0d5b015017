"""Captures exchanges and hands their entries to the shipper."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from mitmproxy import ctx, http

from akto_mirror.addon.handover import Room
from akto_mirror.addon.session import Session, guarded, has_screen
from akto_mirror.capture import tee
from akto_mirror.capture.capture import Capture
from akto_mirror.capture.encoding import Captured
from akto_mirror.delivery import Shipper, is_round
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Dropped, Outcome, Reason, Skip
from akto_mirror.telemetry.marks import VERDICT

logger = logging.getLogger(__name__)


class Mirroring:
    """Mirrors each exchange once, when it ends."""

    name = "akto-mirroring"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._chatty = False

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Note whether debug lines are shown: mitmweb and mitmproxy keep them all, mitmdump only on request."""
        del updated
        self._chatty = getattr(ctx.options, "termlog_verbosity", "") == "debug" or has_screen()

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Forget the earlier outcome of a recorded flow."""
        flow.metadata.pop(VERDICT, None)

    @guarded
    def response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Mirror an exchange, also one that becomes a WebSocket: its client may disconnect before `websocket_start`."""
        self.mirror(flow)
        self._let_go(flow)
        return self._backpressure(flow)

    @guarded
    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Mirror an accepted WebSocket upgrade whose `response` hook was not called."""
        self.mirror(flow)

    @guarded
    def error(self, flow: http.HTTPFlow) -> None:
        """Mirror what was received of an exchange that was aborted."""
        if VERDICT in flow.metadata:
            return
        if flow.response is None:
            self._skip(flow, Skip(Reason.NO_RESPONSE))
        elif self._is_worker() and not flow.client_conn.connected:
            self._skip(flow, Skip(Reason.CUT_SHORT))
        elif not self._is_worker() and _became_502(flow, flow.response):
            self._skip(flow, Skip(Reason.UPSTREAM_BROKE_OFF))
        else:
            self.mirror(flow)
        self._let_go(flow)

    def mirror_streams(self) -> None:
        """Mirror what was received of responses that have not ended: mitmproxy aborts them only after `done`.

        If the script is reloaded they continue, and the next instance mirrors them when they end.
        """
        for flow in list(self.session.lasting.streams.values()):
            if self._is_worker():
                self._skip(flow, Skip(Reason.CUT_SHORT))
            else:
                self.mirror(flow)
        self.session.lasting.streams.clear()

    def mirror(self, flow: http.HTTPFlow) -> None:
        """Mirror an exchange, unless it has been mirrored already or the rules skip it."""
        capture = self.session.capture
        if capture is None or flow.response is None or VERDICT in flow.metadata:
            return
        try:
            self._decide(flow, capture)
        except Exception:
            # The traffic goes on whatever fails here, but the loss is counted and shown.
            self.session.stats.lose(Dropped.FAULT)
            self.session.show(flow, Outcome.DROPPED, Dropped.FAULT)
            logger.warning("akto: dropped an entry after an error of the addon; please report this", exc_info=True)

    def ship(self, flow: http.HTTPFlow, made: Captured, shipper: Shipper) -> None:
        """Queue an entry, and show its outcome on its flow."""
        self._count_shortened(made)
        if made.repairs:
            self.session.stats.repair(made.repairs)
        if made.hidden:
            self.session.stats.hide(made.hidden)
        refusal = shipper.offer(made.encoded)
        if refusal is not None:
            self.session.show(flow, Outcome.DROPPED, refusal)
            return
        if self.session.capture is not None:
            self.session.capture.sent(made)
        self.session.show(flow, Outcome.CAPTURED)
        if self.session.lasting.marks is not None:
            self.session.lasting.marks.follow(flow, made.encoded)

    def _decide(self, flow: http.HTTPFlow, capture: Capture) -> None:
        shipper = self.session.shipper
        made = capture.of(flow)
        if isinstance(made, Skip):
            self._skip(flow, made)
        elif shipper is None:
            capture.sent(made)
            self.session.show(flow, Outcome.DRY_RUN)
        else:
            self.ship(flow, made, shipper)

    def _skip(self, flow: http.HTTPFlow, skip: Skip) -> None:
        self.session.show(flow, Outcome.SKIPPED, str(skip))
        self.session.stats.skip(skip.reason)
        if self._chatty:
            request = printable(f"{flow.request.method} {flow.request.path}")
            logger.debug("akto: skipped %s: %s", request, printable(str(skip)))

    def _count_shortened(self, made: Captured) -> None:
        if made.is_shortened and is_round(count := self.session.stats.shorten()):
            request = printable(f"{made.entry.method} {made.entry.path}")
            logger.warning("akto: shortened the entry of %s, which is too large (%d so far)", request, count)

    def _is_worker(self) -> bool:
        return self.session.settings is not None and self.session.settings.capture.worker

    def _let_go(self, flow: http.HTTPFlow) -> None:
        self.session.lasting.streams.pop(flow.id, None)
        tee.detach(flow.request)
        if flow.response is not None:
            tee.detach(flow.response)

    def _backpressure(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Wait for room in the queue when a file is replayed, as no client is waiting; live traffic never waits."""
        shipper = self.session.shipper
        return None if flow.live or shipper is None or not shipper.is_crowded() else Room(shipper)


def _became_502(flow: http.HTTPFlow, response: http.Response) -> bool:
    """Return whether mitmproxy sends its own response in place of one that it could not buffer completely."""
    return flow.live and flow.client_conn.connected and not response.stream and response.raw_content is None
