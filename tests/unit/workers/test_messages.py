"""The channel between parent and worker."""

from __future__ import annotations

import socket

import pytest

from akto_mirror.workers import messages
from akto_mirror.workers.messages import Drain, Gather, Listen, Listening, Message, Others, Ready, Reported
from tests.support.reports import report


@pytest.mark.parametrize(
    "message",
    [
        Listen("reverse:http://a@0", "", 0),
        Gather(),
        Ready(),
        Reported(report(), final=True),
        Listening(98, "Address already in use", Listen("", "127.0.0.1", 7)),
        Others(report(), Gather(3)),
        Drain(30.0),
    ],
    ids=lambda each: type(each).__name__,
)
def test_messages_arrive_as_they_were_sent(message: Message) -> None:
    """Messages are received one by one, and unchanged."""
    here, there = messages.pair()
    messages.send(here, message)
    messages.send(here, Ready())
    assert messages.receive(there) == (message, [])
    assert messages.receive(there) == (Ready(), [])


def test_sockets_come_along() -> None:
    """The receiver gets the same socket with another descriptor."""
    here, there = messages.pair()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        messages.send(here, Listening(), [listening])
        _, (copy,) = messages.receive(there)
        assert copy.getsockname() == listening.getsockname()
        assert copy.fileno() != listening.fileno()
        copy.close()


def test_the_end_is_noticed() -> None:
    """After the end of the other process `receive` returns None; without a message, it does not block."""
    here, there = messages.pair()
    there.setblocking(False)
    with pytest.raises(BlockingIOError):
        messages.receive(there)
    here.close()
    assert messages.receive(there) == (None, [])
