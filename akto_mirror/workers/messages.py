"""Messages between the parent and a worker, over a pair of Unix sockets that preserves message boundaries."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from akto_mirror.snapshots import Report

# The most bytes of a message.
LONGEST = 1 << 20

# The most sockets for one address: a name may have several.
MOST_SOCKETS = 64


class Listen(msgspec.Struct, tag=True, frozen=True):
    """A worker requests the sockets for an address; `key` distinguishes listeners on port 0."""

    key: str
    host: str
    port: int


class Gather(msgspec.Struct, tag=True, frozen=True):
    """A worker requests the reports of the others; `number` distinguishes its requests."""

    number: int = 0


class Ready(msgspec.Struct, tag=True, frozen=True):
    """A worker has started, and accepts connections."""


class Reported(msgspec.Struct, tag=True, frozen=True):
    """A worker's report; the last one is `final`."""

    report: Report
    final: bool = False


class Listening(msgspec.Struct, tag=True, frozen=True):
    """The parent's response to `Listen`: the sockets are attached, or there is an error."""

    errno: int = 0
    error: str = ""
    request: Listen | None = None


class Others(msgspec.Struct, tag=True, frozen=True):
    """The parent's response to `Gather`: the sum of the others' reports."""

    report: Report
    request: Gather | None = None


class Drain(msgspec.Struct, tag=True, frozen=True):
    """The parent asks a worker to drain its connections and end, within this many seconds."""

    seconds: float


Message: TypeAlias = Listen | Gather | Ready | Reported | Listening | Others | Drain

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    return ends


def send(channel: socket.socket, message: Message, sockets: Sequence[socket.socket] = ()) -> None:
    """Send a message, with sockets attached.

    Raises:
        OSError: the other process has ended, or does not read.
    """
    socket.send_fds(channel, [msgspec.msgpack.encode(message)], [each.fileno() for each in sockets])


def receive(channel: socket.socket) -> tuple[Message | None, list[socket.socket]]:
    """Return the next message and its attached sockets; None when the other process has ended.

    Raises:
        BlockingIOError: there is none yet, and the channel does not block.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(channel, LONGEST, MOST_SOCKETS)
    except ConnectionError:
        return None, []
    return _decoder.decode(data) if data else None, [socket.socket(fileno=each) for each in descriptors]
