"""Server-sent events through mitmdump, from a real server to a real client."""

from __future__ import annotations

import asyncio
import queue
import statistics
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from tornado import iostream
from tornado.web import Application, RequestHandler

from akto_mirror.background import BackgroundServer
from tests.support.mirror import Mirror, headers, mirroring
from tests.support.proxy import DEADLINE, running_mitmdump

pytestmark = pytest.mark.e2e

LIMIT = 65_536
QUESTION = {"prompt": "tell me"}


class Feed:
    """Events that the target sends when the test says so.

    Attributes:
        gone: set when the target sees that its client has left.
    """

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.gone = threading.Event()


class _Events(RequestHandler):
    def initialize(self, feed: Feed) -> None:
        self.feed = feed

    async def get(self) -> None:
        await self.post()

    async def post(self) -> None:
        self.set_header("content-type", "text/event-stream")
        await self.flush()
        while (event := await asyncio.get_running_loop().run_in_executor(None, self.feed.events.get)) is not None:
            self.write(event)
            try:
                await self.flush()
            except iostream.StreamClosedError:
                break

    def on_connection_close(self) -> None:
        self.feed.gone.set()
        self.feed.events.put(None)


class Setup(NamedTuple):
    """What is between client and target, and what the target will send."""

    mirror: Mirror
    feed: Feed


@pytest.fixture
def feed() -> Feed:
    """Return the events of one test."""
    return Feed()


@pytest.fixture
def target(feed: Feed) -> Iterator[BackgroundServer]:
    """Run the target."""
    with BackgroundServer(Application([("/.*", _Events, {"feed": feed})], log_function=lambda _: None)) as server:
        yield server
        feed.events.put(None)


@pytest.fixture
def setup(feed: Feed, target: BackgroundServer) -> Iterator[Setup]:
    """Run mitmdump with the addon before the target."""
    with mirroring(f"reverse:{target.url}") as mirror:
        yield Setup(mirror, feed)


def event(number: int) -> bytes:
    """Return an event on the wire."""
    return b"data: %d\n\n" % number


def test_each_event_arrives_before_the_next_is_sent(setup: Setup) -> None:
    """An event reaches the client while the target holds the next one back, and soon after it was sent."""
    delays = []
    with httpx.stream("POST", f"{setup.mirror.proxy.url}/chat", json=QUESTION, timeout=DEADLINE, trust_env=False) as r:
        pieces = r.iter_raw()
        for number in range(25):
            sent = time.perf_counter()
            setup.feed.events.put(event(number))
            assert next(pieces) == event(number)
            delays.append(time.perf_counter() - sent)
        setup.feed.events.put(None)
        assert list(pieces) == []
    assert statistics.median(delays) < 0.05
    entry = setup.mirror.entry("/chat")
    assert entry["responsePayload"].encode() == b"".join(map(event, range(25)))
    assert entry["requestPayload"] == '{"prompt":"tell me"}'
    assert headers(entry, "responseHeaders")["content-type"] == "text/event-stream"


def test_first_64_kib_are_captured(setup: Setup) -> None:
    """Of a long stream the client gets every byte, and Akto the first 64 KiB."""
    events = [b"data: %s\n\n" % (b"%d," % number * 1000) for number in range(100)]
    for each in (*events, None):
        setup.feed.events.put(each)
    answer = httpx.post(f"{setup.mirror.proxy.url}/long", json=QUESTION, timeout=DEADLINE, trust_env=False)
    assert answer.content == b"".join(events)
    assert setup.mirror.entry("/long")["responsePayload"].encode() == b"".join(events)[:LIMIT]


def test_client_leaves_an_endless_stream(setup: Setup) -> None:
    """A stream whose client leaves ends at the target too, and is mirrored with what was seen."""
    with httpx.stream("POST", f"{setup.mirror.proxy.url}/end", json=QUESTION, timeout=DEADLINE, trust_env=False) as r:
        pieces = r.iter_raw()
        for number in range(3):
            setup.feed.events.put(event(number))
            assert next(pieces) == event(number)
    entry = setup.mirror.entry("/end")
    assert entry["responsePayload"].encode() == event(0) + event(1) + event(2)
    assert entry["statusCode"] == "200"
    assert setup.feed.gone.wait(DEADLINE)


def test_without_the_addon_events_are_held_back(target: BackgroundServer, feed: Feed) -> None:
    """Plain mitmdump gives the client nothing before the stream ends, which is what the tee is for."""
    with running_mitmdump(f"reverse:{target.url}", scripts=()) as proxy:
        feed.events.put(event(0))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{proxy.url}/held", json=QUESTION, timeout=1.0, trust_env=False)
