"""One end of an HTTP/2 connection, which records every stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from tests.differential.plan import Field, Half
from tests.differential.wire import COMPLETE, CUT, FIELD, Message, Stream


@dataclass
class Seen:
    """What has been received on a stream so far."""

    interim: list[Message] = field(default_factory=list)
    head: tuple[bytes, ...] = ()
    body: bytearray = field(default_factory=bytearray)
    trailers: tuple[bytes, ...] = ()
    framing: str = ""
    ended: bool = False
    reset: str = ""
    lost: bool = False

    @property
    def over(self) -> bool:
        """Whether the stream has ended."""
        return self.ended or self.lost or bool(self.reset)

    def message(self) -> Message:
        """Return the stream as a message."""
        end = self.reset or (COMPLETE if self.ended else CUT)
        return Message(self.head, bytes(self.body), self.trailers, self.framing, end)


class Peer:
    """A client or server that sends anything, valid or not, and records what it receives."""

    def __init__(self, stream: Stream, *, client: bool) -> None:
        config = H2Configuration(
            client_side=client,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
        )
        self.stream = stream
        self.connection = H2Connection(config)
        self.seen: dict[int, Seen] = {}
        self._turn = asyncio.Event()
        self._lost = False
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Write the pending bytes."""
        if not self.stream.ended:
            self.stream.writer.write(self.connection.data_to_send())

    async def pump(self, opened: Callable[[int], None] = lambda _: None) -> None:
        """Process incoming events until the connection ends; `opened` is called with the id of each new request."""
        while await self.stream.more():
            try:
                events = self.connection.receive_data(self.stream.take(len(self.stream.buffer)))
            except ProtocolError:
                break
            self._note(events, opened)
            self.flush()
            self._wake()
        self._lose()

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait for a condition, which is checked after each event."""
        while not ready():
            await self._turn.wait()

    def open(self, half: Half, *, finish: bool = True) -> int:
        """Open a stream with the head of a request, and return its id; `send_rest` sends the rest."""
        stream_id = int(self.connection.get_next_available_stream_id())
        self.seen[stream_id] = Seen(lost=self._lost)
        if not self._lost:
            self._send_head(stream_id, half, finish=finish)
        return stream_id

    async def until_lost(self) -> None:
        """Wait for the connection to end."""
        await self.until(lambda: self._lost)

    async def send(self, stream_id: int, half: Half, *, finish: bool = True) -> None:
        """Send a response, unless the peer has reset the stream in the meantime."""
        with suppress(ProtocolError):
            self._send_head(stream_id, half, finish=finish)
            await self._send_rest(stream_id, half, finish=finish)

    async def send_rest(self, stream_id: int, half: Half, *, finish: bool = True) -> None:
        """Send everything after the head."""
        with suppress(ProtocolError):
            await self._send_rest(stream_id, half, finish=finish)

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Reset a stream, unless it is already closed."""
        try:
            self.connection.reset_stream(stream_id, code)
        except ProtocolError:
            return
        self.flush()

    def _send_head(self, stream_id: int, half: Half, *, finish: bool) -> None:
        bare = finish and not (half.body or half.trailers or half.lone_end)
        self.connection.send_headers(stream_id, list(half.fields), end_stream=bare)
        self.flush()

    async def _send_rest(self, stream_id: int, half: Half, *, finish: bool) -> None:
        pieces = half.split()
        for number, piece in enumerate(pieces, start=1):
            last = finish and number == len(pieces) and not (half.trailers or half.lone_end)
            await self._send_data(stream_id, piece, last=last)
        if finish and half.trailers:
            self.connection.send_headers(stream_id, list(half.trailers), end_stream=True)
        elif finish and half.lone_end:
            self.connection.end_stream(stream_id)
        self.flush()

    async def _send_data(self, stream_id: int, data: bytes, *, last: bool) -> None:
        while data:
            await self.until(lambda: self.seen[stream_id].lost or self._room(stream_id) > 0)
            if self.seen[stream_id].lost:
                return
            size = min(len(data), self._room(stream_id))
            self.connection.send_data(stream_id, data[:size], end_stream=last and size == len(data))
            self.flush()
            await asyncio.sleep(0)
            data = data[size:]

    def _room(self, stream_id: int) -> int:
        return int(min(self.connection.local_flow_control_window(stream_id), self.connection.max_outbound_frame_size))

    def _lose(self) -> None:
        self._lost = True
        for seen in self.seen.values():
            seen.lost = True
        self._wake()

    def _wake(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()

    def _note(self, events: Iterable[Event], opened: Callable[[int], None]) -> None:
        for event in events:
            if isinstance(event, ConnectionTerminated):
                self._lose()
            elif handler := HANDLERS.get(type(event)):
                stream_id = _stream_id(event)
                handler(self, self.seen.setdefault(stream_id, Seen()), event)
                if isinstance(event, RequestReceived):
                    opened(stream_id)


def _stream_id(event: Any) -> int:
    return int(event.stream_id)


def _fields(headers: Iterable[Field]) -> tuple[bytes, ...]:
    return tuple(bytes(name) + FIELD + bytes(value) for name, value in headers)


def _on_interim(_: Peer, seen: Seen, event: Any) -> None:
    seen.interim.append(Message(_fields(event.headers), framing="interim"))


def _on_head(_: Peer, seen: Seen, event: Any) -> None:
    seen.head = _fields(event.headers)
    seen.framing = "ended by its head" if event.stream_ended else "ended later"


def _on_data(peer: Peer, seen: Seen, event: Any) -> None:
    seen.body += event.data
    peer.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)


def _on_trailers(_: Peer, seen: Seen, event: Any) -> None:
    seen.trailers = _fields(event.headers)


def _on_end(_: Peer, seen: Seen, __: Any) -> None:
    seen.ended = True


def _on_reset(_: Peer, seen: Seen, event: Any) -> None:
    seen.reset = f"reset {int(event.error_code)}"


HANDLERS: dict[type[Event], Callable[[Peer, Seen, Any], None]] = {
    InformationalResponseReceived: _on_interim,
    RequestReceived: _on_head,
    ResponseReceived: _on_head,
    DataReceived: _on_data,
    TrailersReceived: _on_trailers,
    StreamEnded: _on_end,
    StreamReset: _on_reset,
}
