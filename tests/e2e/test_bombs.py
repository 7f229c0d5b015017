"""Decompression bombs through mitmdump: a body that decodes to 300 MB costs almost no memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from tests.support.coders import bomb, encode
from tests.support.mirror import Mirror, mirroring

pytestmark = pytest.mark.e2e

SIZE = 300 << 20

# Bytes of memory that mitmdump may take beyond its idle memory, for all of the bombs one after another.
GROWTH = 40 << 20

CODINGS = ["gzip", "deflate", "br", "zstd", "gzip, gzip", "zstd, br", "br, gzip, deflate"]


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """Make a bomb for each coding and for combinations of several."""
    return {coding: encode(bomb(*_first(coding)), coding.partition(",")[2]) for coding in CODINGS}


def _first(coding: str) -> tuple[str, int]:
    return coding.partition(",")[0], SIZE


class _Arsenal(RequestHandler):
    def initialize(self, bombs: dict[str, bytes]) -> None:
        self.bombs = bombs

    def get(self, number: str) -> None:
        coding = CODINGS[int(number)]
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Encoding", coding)
        self.write(self.bombs[coding])

    def post(self, _number: str) -> None:
        self.write({})


@pytest.fixture(scope="module", params=["akto", "worker"])
def mirror(bombs: dict[str, bytes], request: pytest.FixtureRequest) -> Iterator[Mirror]:
    """A proxy in front of a server of bombs."""
    app = Application([("/([0-9]+)", _Arsenal, {"bombs": bombs})])
    options = {"akto_fidelity": request.param}
    with BackgroundServer(app) as server, mirroring(f"reverse:{server.url}", options=options) as running:
        yield running


def memory(pid: int, which: str) -> int:
    """Return a figure of a process in bytes: `VmRSS` for now, `VmHWM` for its peak."""
    found = re.search(which + r":\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return 1024 * int(found[1])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux shows and resets a process's peak")
def test_bombs_cost_no_memory(mirror: Mirror, bombs: dict[str, bytes]) -> None:
    """The peak memory of mitmdump stays within 40 MB of its idle memory while bombs of each kind pass both ways."""
    pid = mirror.proxy.process.pid
    idle = memory(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    for number, coding in enumerate(CODINGS):
        url = f"{mirror.proxy.url}/{number}"
        with httpx.stream("GET", url, trust_env=False) as answer:
            assert b"".join(answer.iter_raw()) == bombs[coding]
        headers = {"content-encoding": coding, "content-type": "application/json"}
        assert httpx.post(url, content=bombs[coding], headers=headers, trust_env=False).status_code == 200
        assert len(mirror.entries(f"/{number}", 2)) == 2
    assert memory(pid, "VmHWM") - idle < GROWTH
