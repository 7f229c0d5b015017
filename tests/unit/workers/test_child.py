"""A worker as its parent sees it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

import pytest

from akto_mirror.workers import messages
from akto_mirror.workers.child import Child
from akto_mirror.workers.messages import Gather, Message
from tests.support.proxy import ROOT

SAYS = """
import socket, sys
sys.path.insert(0, {root!r})
from akto_mirror.workers.messages import *
channel = socket.socket(fileno=int(sys.argv[1]))
for each in ({what}):
    send(channel, each)
{end}
"""


async def born(what: str, end: str, asked: list[Message]) -> Child:
    """Start a worker that sends these messages."""
    ours, theirs = messages.pair()
    ours.setblocking(False)
    child = Child(1, ours, lambda _, message: asked.append(message))
    program = SAYS.format(root=str(ROOT), what=what, end=end)
    await child.start([sys.executable, "-c", program, str(theirs.fileno())], theirs.fileno())
    return child


@pytest.mark.parametrize(
    ("what", "end", "is_ready", "code"),
    [
        ("Gather(), Ready(),", "receive(channel)", True, 0),
        ("Gather(),", "sys.exit(3)", False, 3),
        ("Gather(),", "receive(channel)", False, -signal.SIGTERM),
    ],
    ids=["ready", "ended", "killed"],
)
def test_it_is_ready_or_ends(what: str, end: str, is_ready: bool, code: int) -> None:
    """`is_ready` returns when the worker is ready or has ended; its messages before that are handled."""
    asked: list[Message] = []

    async def story() -> None:
        child = await born(what, end, asked)
        if code < 0:
            child.send_signal(signal.SIGTERM)
        assert await child.is_ready() is is_ready
        child.drain(1.0)
        assert child.leaves
        assert await child.ended() == code
        child.send_signal(signal.SIGTERM)
        child.say(Gather())

    asyncio.run(story())
    expected: Sequence[Message] = [] if code < 0 else [Gather()]
    assert asked[: len(expected)] == expected


def test_a_signal_does_not_take_the_exit_code() -> None:
    """A signal while the process ends, as with a second Ctrl-C, does not lose the exit code."""

    async def story() -> None:
        for _ in range(5):
            child = await born("", "", [])
            ended = asyncio.create_task(child.ended())
            while not ended.done():
                child.send_signal(signal.SIGCONT)
                await asyncio.sleep(0)
            assert ended.result() == 0

    asyncio.run(story())
