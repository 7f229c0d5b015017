"""HTTP/2 without TLS by prior knowledge: what gRPC and other clients get through `reverse:http://`."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import grpc
import httpx
import pytest
from google.protobuf import any_pb2, struct_pb2
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, PingAckReceived, ResponseReceived, StreamEnded

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from akto_mirror.cleartext.frames import PREFACE
from tests.support.grpcpayload import merged
from tests.support.grpcpeer import FLOOD_BYTES, EchoService, Outbox, channel, path, serving_grpc
from tests.support.http2 import serving_http2
from tests.support.mirror import Mirror, headers, mirroring
from tests.support.proxy import ADDON, DEADLINE, Proxy, running_mitmdump

pytestmark = pytest.mark.e2e

# Seconds for which nothing more must happen; nothing is synchronised by it.
HELD = 1.0

# mitmproxy answers this itself, with 400: by then it has taken in what came on other connections before.
REFUSED = b"GET no-slash HTTP/1.1\r\n\r\n"


class Setup(NamedTuple):
    """Client and target of a call, and what is between them."""

    channel: grpc.Channel
    service: EchoService
    mirror: Mirror


@pytest.fixture
def setup() -> Iterator[Setup]:
    """Run a target, mitmdump with the addon before it, and a client's channel."""
    service = EchoService()
    with (
        serving_grpc(service, None) as port,
        mirroring(f"reverse:http://localhost:{port}") as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        yield Setup(opened, service, mirror)


def ended(mirror: Mirror) -> str:
    """End the proxy, and return how it counted the exchanges."""
    mirror.proxy.stop()
    return mirror.proxy.wait_for("akto: captured .*")[0]


@pytest.mark.oldest
def test_protobuf_is_decoded_from_the_entry(setup: Setup) -> None:
    """The messages of a call can be read from its entry by protobuf, and path, host and status are the call's."""
    sent = struct_pb2.Struct()
    sent.update({"name": "caf\u00e9", "items": [1, 2, {"deep": True}]})
    call = setup.channel.unary_unary(
        path("Unary"),
        request_serializer=struct_pb2.Struct.SerializeToString,
        response_deserializer=struct_pb2.Struct.FromString,
    )
    assert call(sent, timeout=DEADLINE) == sent
    entry = setup.mirror.entry(path("Unary"))
    for which in ("requestPayload", "responsePayload"):
        assert struct_pb2.Struct.FromString(merged(entry, which)) == sent
    assert (entry["method"], entry["statusCode"]) == ("POST", "200")
    assert headers(entry, "requestHeaders")["host"] == f"localhost:{setup.mirror.proxy.port}"


def test_error_with_details(setup: Setup) -> None:
    """A status with a protobuf message as its details arrives whole; the call is mirrored with its request."""
    details = any_pb2.Any()
    details.Pack(struct_pb2.Value(string_value="no milk"))
    with pytest.raises(grpc.RpcError) as caught:
        setup.channel.unary_unary(path("Detail"))(details.SerializeToString(), timeout=DEADLINE)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    trailers = dict(caught.value.trailing_metadata())
    assert any_pb2.Any.FromString(trailers["grpc-status-details-bin"]) == details
    assert merged(setup.mirror.entry(path("Detail")), "requestPayload") == details.SerializeToString()


def test_trailers_only(setup: Setup) -> None:
    """A method that the target does not know is answered by trailers alone, and mirrored."""
    with pytest.raises(grpc.RpcError) as caught:
        setup.channel.unary_unary(path("Nothing"))(b"x", timeout=DEADLINE)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    entry = setup.mirror.entry(path("Nothing"))
    assert headers(entry, "responseHeaders")["grpc-status"] == "12"
    assert merged(entry, "responsePayload") == b""


def test_deadline(setup: Setup) -> None:
    """A call whose time is over ends at the target too, and is mirrored with what was seen."""
    answers = setup.channel.unary_stream(path("Endless"))(b"first", timeout=HELD)
    assert next(answers) == b"first"
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert setup.service.cancelled.wait(DEADLINE)
    assert merged(setup.mirror.entry(path("Endless")), "responsePayload") == b"first"


def test_cancelled_before_an_answer(setup: Setup) -> None:
    """A call that is cancelled before the target has answered is skipped, and counted with its reason."""
    outbox = Outbox()
    outbox.send(b"one")
    call = setup.channel.stream_unary(path("Sip")).future(iter(outbox), timeout=DEADLINE)
    setup.mirror.proxy.wait_for("Streaming request to")
    call.cancel()
    outbox.close()
    setup.mirror.proxy.wait_for("<< stream reset by client")
    setup.service.thirsty.set()
    assert "captured 0 = " in (counts := ended(setup.mirror))
    assert "skipped 1 (no response 1)" in counts


@pytest.mark.parametrize("side", ["client", "target"])
def test_keepalive_pings(side: str) -> None:
    """A call goes on while its client, or its target, asks all the time whether the other is still there."""
    pings = {
        "grpc.keepalive_time_ms": 100,
        "grpc.keepalive_timeout_ms": 5000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,
    }
    of_target, of_client = (pings, {}) if side == "target" else ({}, pings)
    with (
        serving_grpc(EchoService(), None, of_target) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}") as mirror,
        channel(mirror.proxy.port, None, of_client) as opened,
    ):
        assert len(list(opened.unary_stream(path("Tick"))(b"50", timeout=DEADLINE))) == 50
        assert merged(mirror.entry(path("Tick")), "responsePayload") == b"".join(b"%d" % number for number in range(50))


def test_age_of_a_connection_ends_in_the_middle_of_calls() -> None:
    """A target's graceful GOAWAY leaves the calls under way alone; the next one goes out on a new connection."""
    age = {"grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 60_000}
    with (
        serving_grpc(EchoService(), None, age) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}") as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        tick = opened.unary_stream(path("Tick"))
        first = tick(b"40", timeout=DEADLINE)
        assert next(first) == b"0"
        rest = [*first]
        assert len(rest) == 39
        assert len(list(tick(b"40", timeout=DEADLINE))) == 40
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        for entry in mirror.entries(path("Tick"), 2):
            assert merged(entry, "responsePayload") == b"".join(b"%d" % number for number in range(40))
        assert len([line for line in mirror.proxy.log if "server connect " in line]) > 1


def peak_mib(proxy: Proxy) -> float:
    """Return the most memory that the proxy has taken."""
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def steady(count: Callable[[], int]) -> int:
    """Wait until a count has not changed for a while, and return it."""
    deadline, seen = time.monotonic() + DEADLINE, -1
    while seen != (seen := count()) and time.monotonic() < deadline:
        time.sleep(HELD)
    return seen


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_client_that_reads_slowly(setup: Setup) -> None:
    """The target is held back, not the memory filled; other calls on the connection go on, and nothing is lost."""
    before = peak_mib(setup.mirror.proxy)
    answers = setup.channel.unary_stream(path("Flood"))(b"2000", timeout=DEADLINE)
    next(answers)
    assert steady(lambda: setup.service.sent) * FLOOD_BYTES < 24 * 1024 * 1024
    assert setup.channel.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
    assert peak_mib(setup.mirror.proxy) - before < 24
    assert sum(len(answer) for answer in answers) == 1999 * FLOOD_BYTES
    assert ("x-last", "2") in answers.trailing_metadata()


def flood(sent: list[int]) -> Iterator[bytes]:
    """Yield long messages as fast as gRPC takes them, and note each."""
    for number in range(2000):
        sent.append(number)
        yield bytes(FLOOD_BYTES)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_target_that_reads_slowly(setup: Setup) -> None:
    """The client is held back, not the memory filled; other calls on the connection go on, and nothing is lost."""
    before = peak_mib(setup.mirror.proxy)
    sent: list[int] = []
    call = setup.channel.stream_unary(path("Sip")).future(flood(sent), timeout=DEADLINE)
    assert steady(lambda: len(sent)) * FLOOD_BYTES < 24 * 1024 * 1024
    assert setup.channel.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
    assert peak_mib(setup.mirror.proxy) - before < 24
    setup.service.thirsty.set()
    assert call.result() == b"2000"


def settle(port: int) -> None:
    """Wait until the proxy has taken in what was sent to it on other connections."""
    with socket.create_connection(("127.0.0.1", port)) as other:
        other.sendall(REFUSED)
        while other.recv(65536):
            pass


class Raw:
    """An HTTP/2 client on a socket."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.h2 = H2Connection()
        self.h2.initiate_connection()

    def ask(self, stream_id: int = 1, target: str = "/x") -> None:
        """Make a GET ready to be sent."""
        fields = [(":method", "GET"), (":scheme", "http"), (":path", target), (":authority", "api.example.test")]
        self.h2.send_headers(stream_id, fields, end_stream=True)

    def flush(self) -> None:
        """Send what is ready."""
        self.socket.sendall(self.h2.data_to_send())

    def until(self, *kinds: type) -> list[object]:
        """Return the events up to the first one of these kinds, or to the end of the connection."""
        events: list[object] = []
        while not any(isinstance(event, kinds) for event in events):
            data = self.socket.recv(65536)
            if not data:
                break
            events += self.h2.receive_data(data)
            self.flush()
        return events


def status(events: list[object]) -> bytes:
    """Return the status of the first answer."""
    (answer,) = (event for event in events if isinstance(event, ResponseReceived))
    return bytes(dict(answer.headers)[b":status"])


@pytest.fixture(scope="module")
def http2() -> Iterator[Mirror]:
    """Run an HTTP/2 target that answers in JSON, and mitmdump with the addon before it."""
    with serving_http2(None) as port, mirroring(f"reverse:http://127.0.0.1:{port}") as mirror:
        yield mirror


@pytest.mark.parametrize("cut", [1, 2, 3, 14, 18, 23, 24, 30])
def test_preface_in_two_pieces(http2: Mirror, cut: int) -> None:
    """What may yet become a preface is waited for, however little has come."""
    raw = Raw(http2.proxy.port)
    raw.ask()
    data = raw.h2.data_to_send()
    with closing(raw.socket):
        raw.socket.sendall(data[:cut])
        settle(http2.proxy.port)
        raw.socket.sendall(data[cut:])
        assert status(raw.until(StreamEnded)) == b"200"


@pytest.mark.parametrize("start", [b"P", b"PR", b"PRI"])
def test_http1_that_begins_like_a_preface(http2: Mirror, start: bytes) -> None:
    """Methods that begin like the preface reach mitmproxy's HTTP/1, though their first bytes come alone."""
    with socket.create_connection(("127.0.0.1", http2.proxy.port), DEADLINE) as client:
        client.sendall(start)
        settle(http2.proxy.port)
        client.sendall(b"OP no-slash HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400")


def test_client_that_leaves_in_mid_preface(http2: Mirror) -> None:
    """It is let go."""
    with socket.create_connection(("127.0.0.1", http2.proxy.port), DEADLINE) as client:
        client.sendall(PREFACE[:10])
        client.shutdown(socket.SHUT_WR)
        assert client.recv(65536) == b""


GARBAGE = {"text": b"garbage" * 50, "ones": b"\xff" * 100, "HTTP/1": b"GET / HTTP/1.1\r\n\r\n", "zeros": bytes(9)}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_after_the_preface(http2: Mirror, garbage: bytes) -> None:
    """It is answered by a GOAWAY with an error and the end of the connection; the next client is served."""
    came = H2Connection()
    came.initiate_connection()
    events = came.receive_data(answer(http2.proxy.port, PREFACE + garbage))
    (code,) = {event.error_code for event in events if isinstance(event, ConnectionTerminated)}
    assert code in (ErrorCodes.PROTOCOL_ERROR, ErrorCodes.FRAME_SIZE_ERROR)
    raw = Raw(http2.proxy.port)
    raw.ask()
    raw.flush()
    with closing(raw.socket):
        assert status(raw.until(StreamEnded)) == b"200"
    assert not [line for line in http2.proxy.log if "Traceback" in line or "crashed" in line]


def test_ping_is_answered(http2: Mirror) -> None:
    """A PING comes back while a connection serves nothing."""
    raw = Raw(http2.proxy.port)
    raw.h2.ping(b"12345678")
    raw.flush()
    with closing(raw.socket):
        assert [event for event in raw.until(PingAckReceived) if isinstance(event, PingAckReceived)]


def test_client_that_takes_leave_gets_its_answers(http2: Mirror) -> None:
    """A client's GOAWAY before the answers has them come nevertheless, and then the connection ends."""
    raw = Raw(http2.proxy.port)
    raw.ask(1)
    raw.ask(3)
    goaway = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(8)
    with closing(raw.socket):
        raw.socket.sendall(raw.h2.data_to_send() + goaway)
        events = raw.until(type(None))
    assert len([event for event in events if isinstance(event, StreamEnded)]) == 2


def test_target_that_takes_leave_of_some_calls() -> None:
    """Of two calls, a target goes on with the first only: the second is answered with 502, and nothing hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=_half_gone, args=(listening,), daemon=True).start()
        with mirroring(f"reverse:http://127.0.0.1:{listening.getsockname()[1]}") as mirror:
            raw = Raw(mirror.proxy.port)
            raw.ask(1)
            raw.ask(3)
            raw.flush()
            with closing(raw.socket):
                events: list[object] = []
                while len([event for event in events if isinstance(event, StreamEnded)]) < 2:
                    events += raw.until(StreamEnded)
    answers = {event.stream_id: dict(event.headers) for event in events if isinstance(event, ResponseReceived)}
    assert sorted(bytes(answer[b":status"]) for answer in answers.values()) == [b"200", b"502"]
    page = b"".join(event.data for event in events if isinstance(event, DataReceived))
    assert b"did not begin with this call" in page


def _half_gone(listening: socket.socket) -> None:
    peer = listening.accept()[0]
    h2 = H2Connection(H2Configuration(client_side=False))
    h2.initiate_connection()
    with peer:
        peer.sendall(h2.data_to_send())
        while 3 not in h2.streams:
            h2.receive_data(peer.recv(65536))
            peer.sendall(h2.data_to_send())
        # The last stream that is processed is the first one, without an error.
        peer.sendall(bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes([0, 0, 0, 1]) + bytes(4))
        h2.send_headers(1, [(":status", "200")], end_stream=True)
        peer.sendall(h2.data_to_send())
        while peer.recv(65536):
            pass


def answer(port: int, data: bytes) -> bytes:
    """Send this to a proxy, and return all that comes until it ends the connection."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        client.sendall(data)
        parts = []
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("options", [{"http2": "false"}, {"akto_h2c": "false"}], ids=str)
def test_switched_off_it_is_refused_as_ever(options: Mapping[str, str]) -> None:
    """With either option off, a client with a preface gets what plain mitmdump answers."""
    refusal = "Initiating HTTP/2 connections with prior knowledge are currently not supported"
    plain_options = {name: value for name, value in options.items() if not name.startswith("akto")}
    with serving_http2(None) as port:
        mode = f"reverse:http://127.0.0.1:{port}"
        with running_mitmdump(mode, options=plain_options, scripts=()) as plain:
            expected = answer(plain.port, PREFACE)
            plain.wait_for(refusal)
        with mirroring(mode, options=options) as mirror:
            assert answer(mirror.proxy.port, PREFACE) == expected
            mirror.proxy.wait_for(refusal)


def test_other_modes_are_left_alone() -> None:
    """In front of a target with TLS, and as an ordinary proxy, a preface is refused as by plain mitmdump."""
    with serving_http2(None) as port:
        modes = ("regular", f"reverse:https://127.0.0.1:{port}")
        with running_mitmdump(*modes, options={"connection_strategy": "lazy"}, scripts=()) as plain:
            expected = [answer_at(address) for address in plain.addresses]
        with mirroring(*modes, options={"connection_strategy": "lazy"}) as mirror:
            assert [answer_at(address) for address in mirror.proxy.addresses] == expected


def answer_at(address: tuple[str, int]) -> bytes:
    """As `answer`, for a preface, at any address."""
    with socket.create_connection(address, DEADLINE) as client:
        client.sendall(PREFACE)
        client.shutdown(socket.SHUT_WR)
        parts = []
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("strategy", ["eager", "lazy"])
def test_connection_strategies(strategy: str) -> None:
    """The target is spoken to in HTTP/2 whether mitmproxy connects at once or when the first call comes."""
    options = {"connection_strategy": strategy}
    with (
        serving_grpc(EchoService(), None) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}", options=options) as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        assert merged(mirror.entry(path("Unary")), "requestPayload") == b"x"


def test_ignored_hosts_pass_untouched() -> None:
    """What mitmproxy is told to ignore passes by it as bytes, and is not mirrored."""
    with (
        serving_grpc(EchoService(), None) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}", options={"ignore_hosts": "127.0.0.1"}) as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        assert "captured 0 = " in ended(mirror)


def test_goes_on_over_a_reload(tmp_path: Path) -> None:
    """A client that stays connected while the script is loaded anew goes on, on a new connection to the target too."""
    script = Path(shutil.copy(ADDON, tmp_path / "addon.py"))
    age = {"grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 300}
    with (
        serving_grpc(EchoService(), None, age) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}", scripts=[script]) as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        mirror.proxy.wait_for("server disconnect")
        script.write_text(script.read_text() + "\n# Changed.\n")
        while len([line for line in mirror.proxy.log if "akto: mirroring to" in line]) < 2:
            time.sleep(0.01)
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        mirror.entries(path("Unary"), 2)
    assert len([line for line in mirror.proxy.log if "client connect" in line]) == 1


def test_saved_call_is_sent_again(tmp_path: Path) -> None:
    """A call that mitmproxy has saved is replayed to the target in HTTP/2."""
    saved, service, options = tmp_path / "flows", EchoService(), {"akto_stream": "never"}
    with serving_grpc(service, None) as port:
        mode = f"reverse:http://127.0.0.1:{port}"
        with (
            mirroring(mode, options=options, arguments=["-w", str(saved)]) as mirror,
            channel(mirror.proxy.port, None) as opened,
        ):
            assert list(opened.stream_stream(path("Echo"))(iter([b"again"]), timeout=DEADLINE)) == [b"again"]
        arguments = ["--client-replay", str(saved), "--set", "keepserving=true"]
        with mirroring(mode, options=options, arguments=arguments) as replayed:
            entry = replayed.entry(path("Echo"))
    assert service.received == [b"again", b"again"]
    assert merged(entry, "responsePayload") == b"again"


class Old(BaseHTTPRequestHandler):
    """Answers with JSON, in HTTP/1."""

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
    """Run targets that speak HTTP/1 only: Python's server, tornado, Node's if it is here, and one that hangs up."""
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
    """Its HTTP/2 clients get a 502 that says why, and the log has one line; HTTP/1 is served on the same port."""
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


def tool(name: str) -> str:
    """Return the path of a program of nghttp2."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} of nghttp2-client is not installed")
    return found


def test_h2load(http2: Mirror) -> None:
    """Thousands of requests on a few connections, 90 at once on each, are all answered, and mirrored one by one."""
    command = [tool("h2load"), "-n", "2000", "-c", "4", "-m", "90", f"{http2.proxy.url}/load"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert len(http2.entries("/load", 2000)) == 2000


def test_nghttp(http2: Mirror, tmp_path: Path) -> None:
    """A GET and a POST of another client are answered and mirrored."""
    body = tmp_path / "body"
    body.write_text('{"sent":true}')
    for more in ([], ["-d", str(body), "-H", "content-type: application/json"]):
        command = [tool("nghttp"), *more, f"{http2.proxy.url}/nghttp"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)
        assert '"host": "127.0.0.1:' in done.stdout, done
    assert {entry["requestPayload"] for entry in http2.entries("/nghttp", 2)} == {"", '{"sent":true}'}
