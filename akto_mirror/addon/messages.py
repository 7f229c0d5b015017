"""Messages of WebSockets, of which mitmproxy keeps every one for as long as the socket lives.

(`WebsocketLayer.relay_messages` in mitmproxy/proxy/layers/websocket.py appends each to `flow.websocket.messages`.)
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from mitmproxy import ctx, hooks, http

from akto_mirror.addon.session import Session, any_set, guarded, has_screen
from akto_mirror.addon.streaming import SAVES

# Where the classes of addons come from that do not look at the older messages of a flow in mitmdump.
KNOWN = ("mitmproxy", "akto_mirror")


# Options by which mitmdump writes or looks through all messages of a WebSocket.
LOOKS_AT_MESSAGES = (*SAVES, "dumper_filter", "intercept")


class Messages:
    """Lets go of messages that are of no use to any user or addon."""

    name = "akto-messages"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._watched = True

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Find out whether the older messages of WebSockets are of use."""
        del updated
        self._look()

    @guarded
    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Find out once more: a script may have come since."""
        del flow
        self._look()

    @guarded
    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Let go of all but the newest."""
        if not self._watched:
            keep_newest(flow)

    def _look(self) -> None:
        shown = has_screen() or any_set(LOOKS_AT_MESSAGES)
        self._watched = shown or any_foreign(ctx.master.addons.chain)


def keep_newest(flow: http.HTTPFlow) -> None:
    """Let go of all messages but the newest, which other addons and mitmproxy itself still have to see."""
    if flow.websocket is not None:
        del flow.websocket.messages[:-1]


def any_foreign(addons: Iterable[object]) -> bool:
    """Return whether one of the addons, or of those that they consist of, is neither mitmproxy's nor this package's."""
    return any(_is_foreign(addon) or any_foreign(getattr(addon, "addons", ())) for addon in addons)


def _is_foreign(addon: object) -> bool:
    """Recognise a script by its hooks or by having no addons, and any other addon by the module of its class."""
    if isinstance(addon, ModuleType):
        return not getattr(addon, "addons", ()) or any(hasattr(addon, name) for name in hooks.all_hooks)
    return type(addon).__module__.partition(".")[0] not in KNOWN
