"""What mitmproxy itself looks after stays looked after where bodies stream: each case beside a plain mitmdump."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.mirror import headers, mirroring
from tests.support.proxy import ADDON, DEADLINE, Proxy, running_mitmdump

pytestmark = pytest.mark.e2e

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
EARLY = b"HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
SCRIPTS = [pytest.param([], id="plain"), pytest.param([ADDON], id="mirroring")]


@dataclass
class Target:
    """A server that answers each connection's first request head at once, whatever follows it.

    Attributes:
        answer: what it sends.
        heads: the heads that it got.
    """

    answer: bytes
    port: int = 0
    heads: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        """Answer until the listener is closed."""
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            self.heads.append(b"".join(iter(stream.readline, b"\r\n")))
            connection.sendall(self.answer)
            while stream.read1():
                pass


@contextmanager
def serving(answer: bytes = OK) -> Iterator[Target]:
    """Run a target on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Target(answer, listener.getsockname()[1])
        threading.Thread(target=target.serve, args=(listener,), daemon=True).start()
        yield target
        listener.shutdown(socket.SHUT_RDWR)


def ask(proxy: Proxy, request: bytes) -> tuple[bytes, bytes]:
    """Send bytes and read one response that announces its length; return its head and its body."""
    with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE) as client, client.makefile("rb") as stream:
        client.sendall(request)
        head = b"".join(iter(stream.readline, b"\r\n"))
        fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
        return head, stream.read(int(fields[b"content-length"]))


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_no_upgrade_to_http2_in_clear_text(scripts: list[Path]) -> None:
    """The target never hears of it, though the request's body is of unknown length."""
    request = (
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk"
        b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    with serving() as target, running_mitmdump(f"reverse:http://127.0.0.1:{target.port}", scripts=scripts) as proxy:
        head, _ = ask(proxy, request)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"upgrade" not in target.heads[0].lower()
    assert b"http2-settings" not in target.heads[0].lower()


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_a_bound_on_sizes_counts(scripts: list[Path]) -> None:
    """With `body_size_limit` a chunked upload that is longer is refused, and never reaches the target."""
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (100_000, bytes(100_000))
    mode, bound = "reverse:http://127.0.0.1:{}", {"body_size_limit": "10k"}
    with serving() as target, running_mitmdump(mode.format(target.port), options=bound, scripts=scripts) as proxy:
        head, _ = ask(proxy, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert target.heads == []


def test_an_early_answer_is_whole() -> None:
    """A client that stops its upload at an early refusal gets all of it, and need not wait for a last chunk."""
    with serving(EARLY) as target, mirroring(f"reverse:http://127.0.0.1:{target.port}") as mirror:
        head, body = ask(
            mirror.proxy, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n" + bytes(100_000)
        )
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"{}"


@pytest.mark.parametrize("earlier", [True, False])
def test_a_script_may_set_the_host(earlier: bool, tmp_path: Path) -> None:
    """Loaded before or after the addon; what is reported is still what the client asked for."""
    script = tmp_path / "host.py"
    script.write_text('def requestheaders(flow):\n    assert flow.request.headers["host"] != "asked.example"\n'
                      '    flow.request.headers["host"] = "virtual.internal"\n')  # fmt: skip
    with serving() as target:
        mode = f"reverse:http://127.0.0.1:{target.port}"
        with mirroring(mode, scripts=[script, ADDON] if earlier else [ADDON, script]) as mirror:
            ask(mirror.proxy, b"GET / HTTP/1.1\r\nHost: asked.example\r\n\r\n")
    assert b"Host: virtual.internal\r\n" in target.heads[0]
    (entry,) = mirror.akto.entries
    assert headers(entry, "requestHeaders")["host"] == "asked.example"
    assert not [line for line in mirror.proxy.log if "AssertionError" in line]
