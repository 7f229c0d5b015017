"""Large bodies through mitmdump with the addon: they are streamed, and memory stays flat."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from tornado.web import Application, RequestHandler, stream_request_body
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from akto_mirror.background_server import BackgroundServer
from tests.support.mirror import Mirror, mirroring
from tests.support.proxy import DEADLINE

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
PIECE = 256 * 1024
LIMIT = 65_536

# Bytes of memory that mitmdump may take beyond its peak at a small request, whatever the body's size.
GROWTH = 8 * MIB

SLOW = [pytest.mark.slow, pytest.mark.timeout(600)]
BODIES = [
    # An announced upload of up to 64 MiB is held, as mitmproxy does.
    pytest.param(80 * MIB, True, id="80-MB"),
    pytest.param(64 * MIB, False, id="64-MB-unknown-length"),
    pytest.param(1024 * MIB, True, id="1-GB", marks=SLOW),
    pytest.param(1024 * MIB, False, id="1-GB-unknown-length", marks=SLOW),
]


def piece(number: int) -> bytes:
    """Return one of the pieces of a body; each is different."""
    return (b"%015d\n" % number) * (PIECE // 16)


class Sum:
    """Length and digest of a body."""

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        for each in pieces:
            self.add(each)

    def add(self, data: bytes) -> None:
        """Add the next bytes."""
        self.size += len(data)
        self._digest.update(data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and (self.size, self._digest.digest()) == (other.size, other._digest.digest())

    __hash__ = None  # type: ignore[assignment]  # It changes.


class Notes:
    """State shared by the target and the test.

    Attributes:
        go_on: set by the test when the client has the first bytes of a download.
        arrived: set by the target when it has the first bytes of an upload.
        upload: the sum of what the target received.
    """

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.arrived = threading.Event()
        self.upload = Sum()


@stream_request_body
class _Bodies(RequestHandler):
    def initialize(self, notes: Notes) -> None:
        self.notes = notes

    def data_received(self, chunk: bytes) -> None:
        self.notes.upload.add(chunk)
        self.notes.arrived.set()

    def post(self) -> None:
        self.write({})

    async def get(self) -> None:
        size = int(self.request.arguments["size"][0])
        self.set_header("content-type", "application/json")
        if self.request.arguments["sized"] == [b"True"]:
            self.set_header("content-length", size)
        for number in range(size // PIECE):
            self.write(piece(number))
            await self.flush()
            if number == 0:
                await asyncio.get_running_loop().run_in_executor(None, self.notes.go_on.wait, DEADLINE)


@pytest.fixture
def notes() -> Notes:
    """Return the state shared by target and test."""
    return Notes()


@pytest.fixture
def mirror(notes: Notes) -> Iterator[Mirror]:
    """Run a target and mitmdump with the addon, which has served a small request."""
    app = Application([("/.*", _Bodies, {"notes": notes})], log_function=lambda _: None)
    with (
        BackgroundServer(app, max_body_bytes=2**40) as target,
        mirroring(f"reverse:{target.url}") as running,
    ):
        httpx.post(f"{running.proxy.url}/small", json={}, timeout=DEADLINE, trust_env=False).raise_for_status()
        running.entry("/small")
        notes.upload = Sum()
        notes.arrived.clear()
        yield running
        notes.go_on.set()


def peak(mirror: Mirror) -> int:
    """Return mitmdump's peak memory in bytes (Linux only)."""
    status = Path(f"/proc/{mirror.proxy.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def talk(connection: ServerConnection) -> None:
    """Echo every message."""
    for message in connection:
        connection.send(message)


@pytest.mark.parametrize(
    "size", [pytest.param(100 * MIB, id="100-MB"), pytest.param(1024 * MIB, id="1-GB", marks=SLOW)]
)
def test_messages_of_a_websocket(size: int) -> None:
    """Memory stays flat with many messages in both directions, which plain mitmproxy would keep."""
    with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = f"127.0.0.1:{server.socket.getsockname()[1]}"
        with (
            mirroring(f"reverse:http://{target}") as mirror,
            connect(f"ws://127.0.0.1:{mirror.proxy.port}/ws", compression=None, max_size=None, proxy=None) as client,
        ):
            client.send(piece(0))
            assert client.recv() == piece(0)
            before = peak(mirror)
            for number in range(size // PIECE // 2):
                client.send(piece(number))
                assert client.recv() == piece(number)
            assert peak(mirror) - before < 20 * MIB
        server.shutdown()


@pytest.mark.parametrize(("size", "sized"), BODIES)
def test_download(mirror: Mirror, notes: Notes, size: int, sized: bool) -> None:
    """The client has the first bytes before the target sends the rest, gets all, and mitmdump holds little of it."""
    before = peak(mirror)
    got = Sum()
    url = f"{mirror.proxy.url}/down?size={size}&sized={sized}"
    with httpx.stream("GET", url, timeout=DEADLINE, trust_env=False) as response:
        assert ("content-length" in response.headers) is sized
        for data in response.iter_raw():
            got.add(data)
            notes.go_on.set()
    assert got == Sum(map(piece, range(size // PIECE)))
    path = f"/down?size={size}&sized={sized}"
    assert mirror.entry(path)["responsePayload"].encode().rstrip() == piece(0)[:LIMIT].rstrip()
    assert peak(mirror) - before < GROWTH


@pytest.mark.parametrize(("size", "sized"), BODIES)
def test_upload(mirror: Mirror, notes: Notes, size: int, sized: bool) -> None:
    """The target has the first bytes before the client sends the rest, gets all, and mitmdump holds little of it."""
    before = peak(mirror)

    def pieces() -> Iterator[bytes]:
        for number in range(size // PIECE):
            yield piece(number)
            assert notes.arrived.wait(DEADLINE), "the target got nothing of the first piece"

    given = {"content-type": "application/json"} | ({"content-length": str(size)} if sized else {})
    url = f"{mirror.proxy.url}/up"
    httpx.post(url, content=pieces(), headers=given, timeout=DEADLINE, trust_env=False).raise_for_status()
    assert notes.upload == Sum(map(piece, range(size // PIECE)))
    assert mirror.entry("/up")["requestPayload"].encode().rstrip() == piece(0)[:LIMIT].rstrip()
    assert peak(mirror) - before < GROWTH
