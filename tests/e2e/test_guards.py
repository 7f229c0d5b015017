"""mitmproxy's own safeguards still work where bodies stream: each case is compared with plain mitmdump."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.heads import read_head
from tests.support.mirror import headers, mirroring
from tests.support.proxy import ADDON, DEADLINE, Proxy, running_mitmdump

pytestmark = pytest.mark.e2e

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
EARLY = b"HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
SCRIPTS = [pytest.param([], id="plain"), pytest.param([ADDON], id="mirroring")]


@dataclass
class Target:
    """A server that answers the first request head of each connection at once, whatever follows.

    Attributes:
        answer: the bytes that it sends.
        hangs_up: whether it then closes the connection.
        heads: the heads that it received.
    """

    answer: bytes
    hangs_up: bool = False
    port: int = 0
    heads: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        """Answer until the listener is closed."""
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            # mitmproxy opens connections ahead, and may close one without a request.
            if not (head := read_head(stream)):
                return
            self.heads.append(head)
            connection.sendall(self.answer)
            while not self.hangs_up and stream.read1():
                pass


@contextmanager
def serving(answer: bytes = OK, *, hangs_up: bool = False) -> Iterator[Target]:
    """Run a target on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Target(answer, hangs_up, listener.getsockname()[1])
        threading.Thread(target=target.serve, args=(listener,), daemon=True).start()
        yield target
        listener.shutdown(socket.SHUT_RDWR)


def ask(proxy: Proxy, request: bytes) -> tuple[bytes, bytes]:
    """Send bytes, read one response with a length, and return its head and body."""
    with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE) as client, client.makefile("rb") as stream:
        client.sendall(request)
        head = read_head(stream)
        fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
        return head, stream.read(int(fields[b"content-length"]))


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_no_upgrade_to_http2_in_clear_text(scripts: list[Path]) -> None:
    """The upgrade never reaches the target, even if the request's body has no known length."""
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
    """A chunked upload longer than `body_size_limit` is refused, and never reaches the target."""
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (100_000, bytes(100_000))
    mode, bound = "reverse:http://127.0.0.1:{}", {"body_size_limit": "10k"}
    with serving() as target, running_mitmdump(mode.format(target.port), options=bound, scripts=scripts) as proxy:
        head, _ = ask(proxy, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert target.heads == []


def test_an_early_answer_is_whole() -> None:
    """A client that pauses a streamed upload gets the target's early refusal unchanged and at once."""
    mode, always = "reverse:http://127.0.0.1:{}", {"akto_stream": "always"}
    with (
        serving(EARLY) as target,
        mirroring(mode.format(target.port), options=always) as mirror,
        socket.create_connection(("127.0.0.1", mirror.proxy.port), DEADLINE) as client,
        client.makefile("rb") as stream,
    ):
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n" + bytes(100_000))
        head = read_head(stream)
        assert head.startswith(b"HTTP/1.1 413 ")
        assert stream.readline() == b"2\r\n"
        assert stream.read(4) == b"{}\r\n"


def test_a_slow_upload_reaches_its_target_once_it_is_complete() -> None:
    """As with plain mitmdump, a slow upload does not run into the target's timeout."""
    with (
        serving() as target,
        mirroring(f"reverse:http://127.0.0.1:{target.port}") as mirror,
        socket.create_connection(("127.0.0.1", mirror.proxy.port), DEADLINE) as client,
    ):
        client.sendall(b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000))
        ask(mirror.proxy, b"GET /meanwhile HTTP/1.1\r\nHost: h\r\n\r\n")
        assert [head.split()[1] for head in target.heads] == [b"/meanwhile"]
        client.sendall(bytes(100_000))
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert [head.split()[1] for head in target.heads] == [b"/meanwhile", b"/slow"]


@pytest.mark.parametrize("earlier", [True, False])
def test_a_script_may_set_the_host(earlier: bool, tmp_path: Path) -> None:
    """A script may set the host, loaded before or after the addon; the entry has the host that the client requested."""
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


BROKEN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
)


@pytest.mark.parametrize("answer", BROKEN, ids=["length", "chunks"])
def test_an_answer_that_breaks_off_while_it_is_buffered_is_no_200(answer: bytes) -> None:
    """The client gets mitmproxy's 502, and no entry shows a success that the client never saw."""
    with (
        serving(answer, hangs_up=True) as target,
        mirroring(f"reverse:http://127.0.0.1:{target.port}", options={"akto_stream": "never"}) as mirror,
    ):
        head, _ = ask(mirror.proxy, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 ")
    assert mirror.akto.entries == []
    assert mirror.proxy.log[-1].endswith("skipped 1 (upstream broke off 1)")


@pytest.mark.parametrize("mode", ["reverse:http://127.0.0.1:{}", "regular"])
def test_an_absolute_target_names_the_host(mode: str) -> None:
    """The host of an absolute target takes precedence over the Host field (RFC 9112, section 3.2.2)."""
    with serving() as target, mirroring(mode.format(target.port)) as mirror:
        named = b"api.example" if mode != "regular" else b"127.0.0.1:%d" % target.port
        ask(mirror.proxy, b"GET http://%s/a HTTP/1.1\r\nHost: other.example\r\n\r\n" % named)
    (entry,) = mirror.akto.entries
    assert headers(entry, "requestHeaders")["host"] == named.decode()
    assert entry["path"] == "/a"


def test_the_first_of_two_hosts_is_reported() -> None:
    """Akto would take two hosts, joined by a comma, for a third one."""
    with serving() as target, mirroring(f"reverse:http://127.0.0.1:{target.port}") as mirror:
        ask(mirror.proxy, b"GET / HTTP/1.1\r\nHost: first.example\r\nHost: second.example\r\n\r\n")
    (entry,) = mirror.akto.entries
    assert headers(entry, "requestHeaders")["host"] == "first.example"


@pytest.mark.parametrize(
    ("options", "ignored"),
    [({}, True), ({"akto_honor_ignore": "false"}, False), ({"akto_fidelity": "worker"}, False)],
)
def test_a_client_can_have_an_exchange_left_out(options: dict[str, str], ignored: bool) -> None:
    """An exchange with `x-akto-ignore` is skipped as by Akto, shipped without the header, or as by the Worker."""
    with serving() as target, mirroring(f"reverse:http://127.0.0.1:{target.port}", options=options) as mirror:
        ask(mirror.proxy, b"GET / HTTP/1.1\r\nHost: h\r\nX-Akto-Ignore: 0\r\n\r\n")
    assert b"x-akto-ignore: 0" in target.heads[0].lower()
    shipped = [headers(entry, "requestHeaders") for entry in mirror.akto.entries]
    assert len(shipped) == (not ignored)
    assert all(("x-akto-ignore" in each) == ("akto_fidelity" in options) for each in shipped)
    assert ("skipped 1 (x-akto-ignore 1)" in mirror.proxy.log[-1]) is ignored
