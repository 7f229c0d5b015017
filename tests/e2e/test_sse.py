"""Server-sent events through mitmdump, from a real server to a real client."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from tests.support.mirror import Mirror, headers, mirroring
from tests.support.proxy import DEADLINE, Proxy, running_mitmdump

pytestmark = pytest.mark.e2e

LIMIT = 65_536
QUESTION = {"prompt": "tell me"}

# Actions of a target instead of an event.
END = b""
BREAK_OFF = None


class Feed:
    """What the target sends on one path, controlled by the test.

    Attributes:
        events: events as bytes, then `END` or `BREAK_OFF`.
        gone: set when the target sees that its client has left.
    """

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.gone = threading.Event()


class _Events(RequestHandler):
    def prepare(self) -> None:
        self.feed: Feed = self.settings["feeds"][self.request.path]

    async def get(self) -> None:
        await self.post()

    async def post(self) -> None:
        self.set_header("content-type", "text/event-stream")
        await self.flush()
        while event := await asyncio.get_running_loop().run_in_executor(None, self.feed.events.get):
            self.write(event)
            try:
                await self.flush()
            except StreamClosedError:
                return
        if event is BREAK_OFF:
            self.detach().close()

    def on_connection_close(self) -> None:
        self.feed.gone.set()
        self.feed.events.put(END)


class Target(BackgroundServer):
    """A server of event streams; tests feed each path."""

    def __init__(self) -> None:
        self.feeds: defaultdict[str, Feed] = defaultdict(Feed)
        super().__init__(Application([("/.*", _Events)], feeds=self.feeds, log_function=lambda _: None))


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """Run the target."""
    with Target() as server:
        yield server


@pytest.fixture(scope="module")
def mirror(target: Target) -> Iterator[Mirror]:
    """Run mitmdump with the addon in front of the target."""
    with mirroring(f"reverse:{target.url}") as running:
        yield running


def event(number: int) -> bytes:
    """Return an event on the wire."""
    return b"data: %d\n\n" % number


def ask(proxy: Proxy, path: str) -> AbstractContextManager[httpx.Response]:
    """Send a JSON request, as an agent to a model, for a response in events."""
    return httpx.stream("POST", proxy.url + path, json=QUESTION, timeout=DEADLINE, trust_env=False)


def test_each_event_arrives_before_the_next_is_sent(mirror: Mirror, target: Target) -> None:
    """An event reaches the client while the target holds the next one back."""
    with ask(mirror.proxy, "/chat") as response:
        pieces = response.iter_raw()
        for number in range(25):
            target.feeds["/chat"].events.put(event(number))
            assert next(pieces) == event(number)
        target.feeds["/chat"].events.put(END)
        assert list(pieces) == []
    entry = mirror.entry("/chat")
    assert entry["responsePayload"].encode() == b"".join(map(event, range(25)))
    assert json.loads(entry["requestPayload"]) == QUESTION
    assert headers(entry, "responseHeaders")["content-type"] == "text/event-stream"


def test_a_stream_that_is_not_mirrored_is_live_too(mirror: Mirror, target: Target) -> None:
    """A stream that the capture rules skip reaches the client as it is sent, and Akto not at all."""
    with httpx.stream("GET", f"{mirror.proxy.url}/plain", timeout=DEADLINE, trust_env=False) as response:
        pieces = response.iter_raw()
        for number in range(3):
            target.feeds["/plain"].events.put(event(number))
            assert next(pieces) == event(number)
        target.feeds["/plain"].events.put(END)
        assert list(pieces) == []
    target.feeds["/fence"].events.put(END)
    with ask(mirror.proxy, "/fence") as response:
        response.read()
    mirror.entry("/fence")
    assert mirror.entries("/plain", 0) == []


def test_first_64_kib_are_captured(mirror: Mirror, target: Target) -> None:
    """Of a long stream the client gets every byte, and Akto the first 64 KiB."""
    events = [b"data: %s\n\n" % (b"%d," % number * 1000) for number in range(100)]
    for each in (*events, END):
        target.feeds["/long"].events.put(each)
    with ask(mirror.proxy, "/long") as response:
        assert response.read() == b"".join(events)
    assert mirror.entry("/long")["responsePayload"].encode() == b"".join(events)[:LIMIT]


def test_client_leaves_an_endless_stream(mirror: Mirror, target: Target) -> None:
    """A stream whose client leaves ends at the target too, and is mirrored as far as it went."""
    with ask(mirror.proxy, "/endless") as response:
        pieces = response.iter_raw()
        for number in range(3):
            target.feeds["/endless"].events.put(event(number))
            assert next(pieces) == event(number)
    entry = mirror.entry("/endless")
    assert entry["responsePayload"].encode() == event(0) + event(1) + event(2)
    assert entry["statusCode"] == "200"
    assert target.feeds["/endless"].gone.wait(DEADLINE)


def test_target_breaks_off(mirror: Mirror, target: Target) -> None:
    """A stream that its target breaks off breaks off at the client too, and is mirrored as far as it went."""
    with ask(mirror.proxy, "/broken") as response:
        pieces = response.iter_raw()
        target.feeds["/broken"].events.put(event(0))
        assert next(pieces) == event(0)
        target.feeds["/broken"].events.put(BREAK_OFF)
        with pytest.raises(httpx.RemoteProtocolError):
            next(pieces)
    assert mirror.entry("/broken")["responsePayload"].encode() == event(0)


def test_proxy_ends_during_a_stream(target: Target) -> None:
    """A stream that is still open when mitmdump ends is mirrored as far as it went."""
    with mirroring(f"reverse:{target.url}") as mirror, ask(mirror.proxy, "/open") as response:
        target.feeds["/open"].events.put(event(0))
        assert next(response.iter_raw()) == event(0)
        assert mirror.proxy.stop() == 0
        (entry,) = mirror.akto.entries
    assert entry["responsePayload"].encode() == event(0)


def test_events_are_held_back_without_the_addon(target: Target) -> None:
    """Plain mitmdump sends the client nothing before the stream ends; hence the tee."""
    target.feeds["/held"].events.put(event(0))
    with running_mitmdump(f"reverse:{target.url}", scripts=()) as proxy, pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{proxy.url}/held", json=QUESTION, timeout=1.0, trust_env=False)
