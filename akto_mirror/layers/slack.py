"""Suspends backpressure between client and target while an exchange is answered before its request has ended.

mitmproxy reads from no connection while the write buffer of one of them is full (`ConnectionHandler.drain_writers` in
mitmproxy/proxy/server.py): a client that writes its whole upload before it reads, and a target that responds without
reading it, would wait for each other forever. And asyncio discards received data once a write to the connection fails,
so that the response of a target that then closes would be lost.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any

# Bytes of one read from a socket that has failed.
READ = 65_536


class SlackProtocol(asyncio.Protocol):
    """Sits between a transport and the protocol that mitmproxy reads from.

    Args:
        transport: the client's or the target's.
        inner: its protocol.
        last_words: after a failed write, deliver what the peer had sent before reporting the end of the connection.
    """

    def __init__(self, transport: asyncio.Transport, inner: asyncio.Protocol, *, last_words: bool) -> None:
        self._transport = transport
        self._inner = inner
        self._last_words = last_words
        self._loose = False
        self._full = self._paused = bool(getattr(inner, "_paused", False))

    def loosen(self) -> None:
        """Hide from the reader that the write buffer is full."""
        self._loose = True
        self._resume()

    def tighten(self) -> None:
        """Apply backpressure to the reader again, as usual."""
        self._loose = False
        if self._full:
            self._pause()

    def data_received(self, data: bytes) -> None:
        """Pass received data on."""
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the peer's EOF on."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Note that the transport's buffer is full, and pass that on unless there is slack."""
        self._full = True
        if not self._loose:
            self._pause()

    def resume_writing(self) -> None:
        """Note that there is room in the transport's buffer again."""
        self._full = False
        self._resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the loss on, or what had arrived before it and then the EOF."""
        if exc is None or not self._last_words:
            self._inner.connection_lost(exc)
            return
        if rest := self._rest():
            self._inner.data_received(rest)
        self._inner.eof_received()
        self._resume()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._inner.pause_writing()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._inner.resume_writing()

    def _rest(self) -> bytes:
        """Read what the peer had sent; asyncio closes the socket only after `connection_lost`."""
        parts: list[bytes] = []
        with suppress(OSError):
            number = self._transport.get_extra_info("socket").fileno()
            while part := os.read(number, READ):
                parts.append(part)
        return b"".join(parts)


class Slack:
    """The slack on both connections of one exchange.

    Args:
        client: the client's writer.
        target: the target's.
    """

    def __init__(self, client: Any, target: Any) -> None:
        ends = (_protocol(client, last_words=False), _protocol(target, last_words=True))
        self._ends = [end for end in ends if end is not None]

    def loosen(self) -> None:
        """Keep reading, even while client and target do not read."""
        for end in self._ends:
            end.loosen()

    def tighten(self) -> None:
        """Read only as fast as client and target read."""
        for end in self._ends:
            end.tighten()


def _protocol(writer: Any, *, last_words: bool) -> SlackProtocol | None:
    """Put a protocol in front of a writer's, or return the existing one; None if the writer is not asyncio's."""
    transport = getattr(writer, "transport", None)
    if not isinstance(transport, asyncio.Transport):
        return None
    inner = transport.get_protocol()
    if isinstance(inner, SlackProtocol):
        inner.tighten()
        return inner
    if not isinstance(inner, asyncio.Protocol):
        return None
    made = SlackProtocol(transport, inner, last_words=last_words)
    transport.set_protocol(made)
    return made
