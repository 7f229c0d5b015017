"""A worker's requests to its parent, and its drain."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from akto_mirror.snapshots import Report
from akto_mirror.workers import messages, worker
from akto_mirror.workers.messages import Drain, Gather, Listen, Listening, Message, Others, Ready, Reported
from akto_mirror.workers.worker import ORPHAN_S, Worker
from tests.support.reports import report


class Parent:
    """A parent that answers as instructed."""

    asked: Message | None

    def __init__(self) -> None:
        self.channel, theirs = messages.pair()
        self.worker = Worker(1, 2, theirs)
        self.drains: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.worker.follow(self.drains.put)

    def answering(self, respond: Callable[[Any], Message], *sockets: socket.socket) -> threading.Thread:
        """Answer the next request."""

        def answer() -> None:
            self.asked, _ = messages.receive(self.channel)
            messages.send(self.channel, respond(self.asked), sockets)

        thread = threading.Thread(target=answer)
        thread.start()
        return thread


@pytest.fixture
def parent() -> Parent:
    """Return a parent with a worker."""
    return Parent()


def test_it_gets_sockets(parent: Parent) -> None:
    """The sockets are the parent's, non-blocking for the event loop; those for metrics too."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = parent.answering(lambda asked: Listening(request=asked), listening)
        (found,) = parent.worker.bind("127.0.0.1", 7)
        thread.join()
        assert parent.asked == Listen("", "127.0.0.1", 7)
        assert (found.getsockname(), found.getblocking()) == (listening.getsockname(), False)
        found.close()


def test_an_address_that_cannot_be_used_is_an_error(parent: Parent) -> None:
    """The error is the same as if the worker had opened the address itself."""
    parent.answering(lambda asked: Listening(98, "Address already in use", asked))
    with pytest.raises(OSError, match="Address already in use") as raised:
        parent.worker.listen("a mode", "127.0.0.1", 7)
    assert raised.value.errno == 98


def test_it_learns_of_the_others(parent: Parent) -> None:
    """A drain that arrives before the answer is handled too."""
    messages.send(parent.channel, Drain(3.0))
    parent.answering(lambda asked: Others(report(), asked))
    assert list(parent.worker.others()) == [report()]
    assert parent.asked == Gather(1)
    assert parent.drains.get(timeout=60) == 3.0


def test_a_parent_of_an_older_version_is_understood(parent: Parent) -> None:
    """After an update, SIGHUP starts new workers of a parent that does not name requests in its answers."""
    parent.answering(lambda _: Others(report()))
    assert list(parent.worker.others()) == [report()]


def test_it_reports(parent: Parent) -> None:
    """The worker reports that it is ready, then its counts, and leaves the last line to the parent."""
    parent.worker.watch(report)
    parent.worker.ready()
    assert [messages.receive(parent.channel)[0] for _ in range(2)] == [Ready(), Reported(report())]
    assert parent.worker.sum_up(report().counts) is True
    assert messages.receive(parent.channel)[0] == Reported(Report(report().counts, 0, 0.0), final=True)


def test_it_drains_when_its_parent_has_gone(parent: Parent) -> None:
    """Without its parent, the worker cannot be replaced, so that it drains."""
    parent.channel.close()
    assert parent.drains.get(timeout=60) == ORPHAN_S
    for _ in range(2):
        assert parent.worker.others() == ()
        with pytest.raises(ConnectionError, match="the parent process has ended"):
            parent.worker.listen("a mode", "127.0.0.1", 7)


def test_a_late_answer_is_not_the_next_ones(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a request that was given up is skipped, and its sockets are closed."""
    with monkeypatch.context() as impatient:
        impatient.setattr(worker, "ANSWER_S", 0.0)
        for request in (parent.worker.others, lambda: parent.worker.listen("one", "127.0.0.1", 7)):
            with pytest.raises(TimeoutError, match="does not answer"):
                request()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        (gather, _), (first, _) = messages.receive(parent.channel), messages.receive(parent.channel)
        assert isinstance(gather, Gather)
        assert isinstance(first, Listen)
        messages.send(parent.channel, Others(report(), gather))
        messages.send(parent.channel, Listening(request=first), [one])
        parent.answering(lambda asked: Listening(request=asked), other)
        (found,) = parent.worker.listen("other", "127.0.0.1", 7)
        assert found.getsockname() == other.getsockname()
        found.close()
