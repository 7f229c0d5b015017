"""Hooks that need no task of their own.

mitmproxy makes a task for each hook (`ConnectionHandler.server_event` in mitmproxy/proxy/server.py). On Python 3.12 and
newer, the hook runs at once in it; but before the task can report the end of the hook, it has to wait for a lock, which
its maker holds until the event is handled. Here a hook runs where mitmproxy would make the task, and only its end waits
for the event loop's next turn. If the hook itself has to wait, or its flow is intercepted, mitmproxy's task does the
rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from mitmproxy.addons import proxyserver
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from akto_mirror.runner.manager import TableManager


class QuickHooks(layer.Layer):
    """Calls the hooks that the layers of a connection ask for; stands between the connection's handler and the layers.

    Args:
        handler: the connection's handler.
        manager: calls the hooks.
    """

    def __init__(self, handler: ProxyConnectionHandler, manager: TableManager) -> None:
        # mitmproxy's own would add it to the layers that addons see.
        self.context = handler.layer.context
        self._handler = handler
        self._layers = handler.layer
        self._manager = manager

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Pass an event on to the layers, and return their commands, apart from hooks that have ended."""
        for command in self._layers.handle_event(event):
            if not isinstance(command, commands.StartHook) or not self._manager.ends_at_once(command):
                yield command
            elif command.blocking:
                # Not an eager one: the handler is busy with this event.
                asyncio.Task(self._handler.server_event(events.HookCompleted(command)))

    _handle_event = handle_event


class Proxyserver(proxyserver.Proxyserver):
    """mitmproxy's proxy server, for whose connections hooks need no tasks."""

    @contextmanager
    def register_connection(
        self, connection_id: tuple[object, ...] | str, handler: ProxyConnectionHandler
    ) -> Iterator[None]:
        """Register a connection, as mitmproxy does before it serves it."""
        handler.layer = QuickHooks(handler, cast(TableManager, handler.master.addons))
        with super().register_connection(connection_id, handler):
            yield

    @classmethod
    def adopt(cls, given: proxyserver.Proxyserver) -> None:
        """Turn mitmproxy's proxy server into one of these in place."""
        given.__class__ = cls
