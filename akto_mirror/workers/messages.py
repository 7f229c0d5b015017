"""What the parent and a worker say to each other, over a pair of Unix sockets that keeps messages apart."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from akto_mirror.snapshots import Report

# Bytes of the longest message.
LONGEST = 1 << 20

# Sockets of one address: a name may stand for several.
MOST_SOCKETS = 64


class Listen(msgspec.Struct, tag=True, frozen=True):
    """A worker asks for the sockets that listen at an address; `key` distinguishes listeners at port 0."""

    key: str
    host: str
    port: int


class Gather(msgspec.Struct, tag=True, frozen=True):
    """A worker asks for the reports of the others."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """A worker has started, and accepts connections."""


class Reported(msgspec.Struct, tag=True, frozen=True):
    """A worker reports; the last report of all is `final`."""

    report: Report
    final: bool = False


class Listening(msgspec.Struct, tag=True, frozen=True):
    """The parent's answer to `Listen`: the sockets come along, or there is an error."""

    errno: int = 0
    error: str = ""


class Others(msgspec.Struct, tag=True, frozen=True):
    """The parent's answer to `Gather`: the sum of the others' reports."""

    report: Report


class Drain(msgspec.Struct, tag=True, frozen=True):
    """The parent asks a worker to end without harm to its connections, within some seconds."""

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
    """Send a message, and sockets with it.

    Raises:
        OSError: the process at the far end has gone, or does not read.
    """
    socket.send_fds(channel, [msgspec.msgpack.encode(message)], [each.fileno() for each in sockets])


def receive(channel: socket.socket) -> tuple[Message | None, list[socket.socket]]:
    """Return the next message and the sockets that came with it; None when the far end has gone.

    Raises:
        BlockingIOError: there is none yet, and the channel does not block.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(channel, LONGEST, MOST_SOCKETS)
    except ConnectionError:
        return None, []
    return _decoder.decode(data) if data else None, [socket.socket(fileno=each) for each in descriptors]
