"""Streams long bodies, and keeps a prefix of each."""

from __future__ import annotations

from mitmproxy import ctx, http

from akto_mirror.addon.session import Session, any_set, guarded, has_screen
from akto_mirror.capture import tee
from akto_mirror.capture.config import Mode
from akto_mirror.capture.tee import Rule

# Options whose addons answer or change a request in the `request` hook, which is too late for a streamed one.
WHOLE_REQUESTS = (
    "anticache",
    "anticomp",
    "block_list",
    "intercept",
    "map_local",
    "map_remote",
    "modify_body",
    "server_replay",
    "stickyauth",
    "stickycookie",
)

# Options whose addons change a response, or let a user change it, in the `response` hook.
WHOLE_RESPONSES = ("intercept", "modify_body")

# Options that write flows to a file.
SAVES = ("save_stream_file", "hardump")


class Streaming:
    """Attaches a tee to bodies that are to be streamed."""

    name = "akto-streaming"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._rules: tuple[Rule, Rule] | None = None

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Note which options need whole bodies, and make mitmproxy keep streamed ones if they can be viewed."""
        del updated
        self._rules = self._read_rules()
        watched = has_screen() or any_set(SAVES)
        if watched and getattr(ctx.options, "store_streamed_bodies", None) is False:  # mitmproxy 11 has no such option.
            ctx.options.update(store_streamed_bodies=True)

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Stream a long request."""
        if self._rules is not None and flow.live and flow.response is None:
            tee.attach_to_request(flow, self._rules[0])

    @guarded
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream a long response."""
        if self._rules is not None and flow.live and flow.response is not None:
            tee.attach_to_response(flow, flow.response, self._rules[1])
            if flow.response.stream:
                self.session.lasting.streams[flow.id] = flow

    def _read_rules(self) -> tuple[Rule, Rule] | None:
        """Return the rules for requests and for responses; None while the options cannot be used."""
        settings = self.session.settings
        if settings is None:
            return None
        capture, bounded = settings.capture, bool(getattr(ctx.options, "body_size_limit", None))
        modes = [Mode.NEVER if any_set(names) else capture.stream for names in (WHOLE_REQUESTS, WHOLE_RESPONSES)]
        asked, answered = (Rule(mode, capture.body_limit, bounded) for mode in modes)
        return asked, answered
