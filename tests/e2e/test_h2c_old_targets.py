"""HTTP/2 without TLS in front of targets that do not speak it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from h2.events import DataReceived, StreamEnded

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from tests.support.mirror import mirroring
from tests.support.rawhttp2 import Raw, status

pytestmark = pytest.mark.e2e


class Old(BaseHTTPRequestHandler):
    """Answers with JSON over HTTP/1."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


NODE = """
const server = require("http").createServer((request, response) => response.end("{}"));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@pytest.fixture
def old_targets() -> Iterator[dict[str, int]]:
    """Run targets that speak HTTP/1 only: Python's server, tornado, Node's if installed, and one that hangs up."""
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Old) as python,
        BackgroundServer(sample_api.make_app()) as tornado,
        socket.create_server(("127.0.0.1", 0)) as mute,
    ):
        Thread(target=python.serve_forever, daemon=True).start()
        Thread(target=_hang_up, args=(mute,), daemon=True).start()
        targets = {
            "python": python.server_address[1],
            "tornado": int(tornado.url.rpartition(":")[2]),
            "mute": mute.getsockname()[1],
        }
        if not shutil.which("node"):
            yield targets
        else:
            with subprocess.Popen(["node", "-e", NODE], stdout=subprocess.PIPE, text=True) as node:
                assert node.stdout
                yield targets | {"node": int(node.stdout.readline())}
                node.kill()
        python.shutdown()


def _hang_up(listening: socket.socket) -> None:
    while True:
        try:
            peer = listening.accept()[0]
        except OSError:
            return
        peer.recv(1)
        peer.close()


def test_target_that_speaks_http1_only(old_targets: Mapping[str, int]) -> None:
    """HTTP/2 clients get a 502 that says why, and the log has one line; HTTP/1 is served on the same port."""
    for name, port in old_targets.items():
        with mirroring(f"reverse:http://127.0.0.1:{port}") as mirror:
            raw = Raw(mirror.proxy.port)
            with closing(raw.socket):
                for stream_id in (1, 3, 5):
                    raw.ask(stream_id)
                    raw.flush()
                    events = raw.until(StreamEnded)
                    assert status(events) == b"502"
                    page = b"".join(event.data for event in events if isinstance(event, DataReceived))
                    assert b"its client speaks HTTP/2 without TLS" in page, (name, page)
            if name != "mute":
                assert httpx.get(f"{mirror.proxy.url}/api/products").status_code == 200
        said = [line for line in mirror.proxy.log if "akto: The target" in line]
        assert len(said) == 1, (name, mirror.proxy.log)
        assert f"127.0.0.1:{port}" in said[0]
        assert "(no response 3" in mirror.proxy.wait_for("akto: captured .*")[0]
