"""mitmproxy's protocol layers without a network: the bytes that they send and receive."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer

Hook = Callable[[commands.StartHook], None]


def stack(options: Options, alpn: bytes | None = None) -> Context:
    """Return a context with connections to a client and to a target."""
    mode = mode_specs.ProxyMode.parse("reverse:http://127.0.0.1:1")
    client = Client(peername=("127.0.0.1", 2), sockname=("127.0.0.1", 3), proxy_mode=mode, state=ConnectionState.OPEN)
    made = Context(client, options)
    made.server = Server(address=("127.0.0.1", 1))
    made.server.state = ConnectionState.OPEN
    made.client.alpn = made.server.alpn = alpn
    return made


class Wire:
    """Runs a layer, and performs its commands at once.

    Args:
        layer: the outermost layer.
        hook: stands in for an addon's hooks.

    Attributes:
        sent: bytes sent to each connection that `take` has not returned yet.
        closed: the connections that it has closed.
        logged: the messages that it has logged.
        meanwhile: events to deliver once, while a hook of the given type runs.
    """

    def __init__(self, layer: Layer, hook: Hook = lambda _: None) -> None:
        self.sent: dict[Connection, bytes] = defaultdict(bytes)
        self.closed: list[Connection] = []
        self.logged: list[str] = []
        self.meanwhile: dict[type[commands.StartHook], events.Event] = {}
        self._layer = layer
        self._hook = hook
        self._wakeups: list[commands.RequestWakeup] = []
        self._feed(events.Start())

    def receive(self, connection: Connection, data: bytes) -> None:
        """Receive data from a connection."""
        if data:
            self._feed(events.DataReceived(connection, data))

    def end(self, connection: Connection) -> None:
        """Let a peer close its connection."""
        connection.state = ConnectionState.CLOSED
        self._feed(events.ConnectionClosed(connection))

    def wake(self) -> None:
        """Fire all timers of the layer."""
        for command in self._wakeups:
            self._feed(events.Wakeup(command))
        self._wakeups.clear()

    def take(self, connection: Connection) -> bytes:
        """Return the bytes that the layer has sent since the last call."""
        return self.sent.pop(connection, b"")

    def _feed(self, event: events.Event) -> None:
        todo = deque([event])
        while todo:
            for command in self._layer.handle_event(todo.popleft()):
                todo.extend(self._obey(command))

    def _obey(self, command: commands.Command) -> list[events.Event]:
        if isinstance(command, commands.StartHook):
            self._hook(command)
            came = self.meanwhile.pop(type(command), None)
            return [*([came] if came else []), events.HookCompleted(command, None)]
        if isinstance(command, commands.OpenConnection):
            command.connection.state = ConnectionState.OPEN
            return [events.OpenConnectionCompleted(command, None)]
        if isinstance(command, commands.SendData):
            self.sent[command.connection] += command.data
        elif isinstance(command, commands.CloseConnection) and command.connection not in self.closed:
            self.closed.append(command.connection)
            command.connection.state = ConnectionState.CLOSED
            return [events.ConnectionClosed(command.connection)]
        elif isinstance(command, commands.Log):
            self.logged.append(command.message)
        elif isinstance(command, commands.RequestWakeup):
            self._wakeups.append(command)
        return []
