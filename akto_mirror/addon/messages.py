"""Discards WebSocket messages, all of which mitmproxy would keep until the WebSocket is closed.

(`WebsocketLayer.relay_messages` in mitmproxy/proxy/layers/websocket.py appends each to `flow.websocket.messages`.)
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from mitmproxy import ctx, hooks, http

from akto_mirror.addon.session import Session, any_set, guarded, has_screen
from akto_mirror.addon.streaming import SAVES

# Packages whose addons do not read the older messages of a flow in mitmdump.
KNOWN = ("mitmproxy", "akto_mirror")


# Options with which mitmdump writes or searches all messages of a WebSocket.
LOOKS_AT_MESSAGES = (*SAVES, "dumper_filter", "intercept")


class Messages:
    """Discards messages that no user and no addon can see."""

    name = "akto-messages"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._watched = True

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Find out whether the older messages of WebSockets are needed."""
        del updated
        self._look()

    @guarded
    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Find out again: a script may have been loaded since."""
        del flow
        self._look()

    @guarded
    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Discard all but the newest."""
        if not self._watched:
            keep_newest(flow)

    def _look(self) -> None:
        shown = has_screen() or any_set(LOOKS_AT_MESSAGES)
        self._watched = shown or any_foreign(ctx.master.addons.chain)


def keep_newest(flow: http.HTTPFlow) -> None:
    """Discard all messages but the newest, which other addons and mitmproxy itself have not handled yet."""
    if flow.websocket is not None:
        del flow.websocket.messages[:-1]


def any_foreign(addons: Iterable[object]) -> bool:
    """Return whether one of the addons or their children is neither mitmproxy's nor this package's."""
    return any(_is_foreign(addon) or any_foreign(getattr(addon, "addons", ())) for addon in addons)


def _is_foreign(addon: object) -> bool:
    """A script is foreign if it has hooks or no `addons`; any other addon is judged by its class's module."""
    if isinstance(addon, ModuleType):
        return not getattr(addon, "addons", ()) or any(hasattr(addon, name) for name in hooks.all_hooks)
    return type(addon).__module__.partition(".")[0] not in KNOWN
