"""Shows the outcomes of flows in mitmproxy and mitmweb."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from mitmproxy import ctx, http
from mitmproxy.flow import Flow
from mitmproxy.hooks import UpdateHook

from akto_mirror.addon.session import Session, guarded, has_screen
from akto_mirror.capture.capture import Capture
from akto_mirror.capture.encoding import Captured
from akto_mirror.outcomes import foreseen, hidden, repaired
from akto_mirror.telemetry import entry_view
from akto_mirror.telemetry.marks import VERDICT, Marks


class Screen:
    """Sets marks and comments on flows, and offers the content view "Akto entry"."""

    name = "akto-screen"

    def __init__(self, session: Session) -> None:
        self.session = session

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Start if there is a user interface; the previous instance has left its marks."""
        del updated
        settings, lasting = self.session.settings, self.session.lasting
        if settings is None or not has_screen():
            return
        if lasting.marks is None:
            lasting.marks = Marks(_soon, _refresh)
        entry_view.offer(self.explain)
        lasting.marks.mark = settings.screen.mark
        self.session.stats.observe(lasting.marks.update)

    @guarded
    def done(self) -> None:
        """Remove the explanations from the content view."""
        if self.session.lasting.marks is not None:
            entry_view.offer(None)

    def explain(self, chosen: http.HTTPFlow) -> str:
        """Return the text of the content view: a flow's outcome, real or foreseen, and its entry."""
        if self.session.capture is None:
            return "# akto: an akto_ option is invalid; see the event log"
        verdict, made = foresee(chosen, self.session.capture)
        shown = str(chosen.metadata.get(VERDICT, verdict))
        return entry_view.render(made.entry, f"{shown}{repaired(made.repairs)}{hidden(made.hidden)}")


def foresee(chosen: http.HTTPFlow, capture: Capture) -> tuple[str, Captured]:
    """Return the outcome that the rules foresee for a flow with a response, and its entry whatever the outcome."""
    assert chosen.response is not None  # noqa: S101 - chosen by it; for the type checker
    return foreseen(capture.judge(chosen)), capture.anyway(chosen, chosen.response)


def _soon(seconds: float, act: Callable[[], None]) -> None:
    """Call a function on the event loop, unless the loop has ended."""
    loop = ctx.master.event_loop
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(loop.call_later, seconds, act)


def _refresh(flows: Sequence[Flow]) -> None:
    ctx.master.addons.trigger(UpdateHook(flows))
