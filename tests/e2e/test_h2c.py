"""HTTP/2 without TLS by prior knowledge, through `reverse:http://`."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, PingAckReceived, ResponseReceived, StreamEnded

from akto_mirror.layers.http2_frames import PREFACE
from tests.support.http2 import serving_http2
from tests.support.mirror import Mirror, mirroring
from tests.support.nghttp2 import run_tool
from tests.support.proxy import DEADLINE, running_mitmdump
from tests.support.rawhttp2 import Raw, status

pytestmark = pytest.mark.e2e

# mitmproxy answers this itself, with 400, after it has read what came earlier on other connections.
REFUSED = b"GET no-slash HTTP/1.1\r\n\r\n"


def settle(port: int) -> None:
    """Wait until the proxy has read what was sent on other connections."""
    with socket.create_connection(("127.0.0.1", port)) as other:
        other.sendall(REFUSED)
        while other.recv(65536):
            pass


@pytest.fixture(scope="module")
def http2() -> Iterator[Mirror]:
    """Run an HTTP/2 target that answers in JSON, and mitmdump with the addon in front of it."""
    with serving_http2(None) as port, mirroring(f"reverse:http://127.0.0.1:{port}") as mirror:
        yield mirror


def answer(address: tuple[str, int], data: bytes) -> bytes:
    """Send bytes to a proxy, and return all that it sends until it closes the connection."""
    with socket.create_connection(address, DEADLINE) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("cut", [1, 2, 3, 14, 18, 23, 24, 30])
def test_preface_in_two_pieces(http2: Mirror, cut: int) -> None:
    """The proxy waits for the rest of a possible preface, however short the beginning."""
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
    """Methods that begin like the preface are handled as HTTP/1, even if their first bytes come alone."""
    with socket.create_connection(("127.0.0.1", http2.proxy.port), DEADLINE) as client:
        client.sendall(start)
        settle(http2.proxy.port)
        client.sendall(b"OP no-slash HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400")


def test_client_that_leaves_in_mid_preface(http2: Mirror) -> None:
    """The client's connection is closed."""
    with socket.create_connection(("127.0.0.1", http2.proxy.port), DEADLINE) as client:
        client.sendall(PREFACE[:10])
        client.shutdown(socket.SHUT_WR)
        assert client.recv(65536) == b""


GARBAGE = {"text": b"garbage" * 50, "ones": b"\xff" * 100, "HTTP/1": b"GET / HTTP/1.1\r\n\r\n", "zeros": bytes(9)}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_after_the_preface(http2: Mirror, garbage: bytes) -> None:
    """The proxy sends a GOAWAY with an error and closes the connection; the next client is served."""
    came = H2Connection()
    came.initiate_connection()
    events = came.receive_data(answer(http2.proxy.addresses[0], PREFACE + garbage))
    (code,) = {event.error_code for event in events if isinstance(event, ConnectionTerminated)}
    assert code in (ErrorCodes.PROTOCOL_ERROR, ErrorCodes.FRAME_SIZE_ERROR)
    raw = Raw(http2.proxy.port)
    raw.ask()
    raw.flush()
    with closing(raw.socket):
        assert status(raw.until(StreamEnded)) == b"200"
    assert not [line for line in http2.proxy.log if "Traceback" in line or "crashed" in line]


def test_ping_is_answered(http2: Mirror) -> None:
    """A PING is answered on an idle connection."""
    raw = Raw(http2.proxy.port)
    raw.h2.ping(b"12345678")
    raw.flush()
    with closing(raw.socket):
        assert [event for event in raw.until(PingAckReceived) if isinstance(event, PingAckReceived)]


def test_client_that_takes_leave_gets_its_answers(http2: Mirror) -> None:
    """After a client's GOAWAY its open requests are still answered, and then the connection ends."""
    raw = Raw(http2.proxy.port)
    raw.ask(1)
    raw.ask(3)
    goaway = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(8)
    with closing(raw.socket):
        raw.socket.sendall(raw.h2.data_to_send() + goaway)
        events = raw.until(type(None))
    assert len([event for event in events if isinstance(event, StreamEnded)]) == 2


def test_target_that_takes_leave_of_some_calls() -> None:
    """A target's GOAWAY leaves it only the first of two calls: the second is answered with 502, and nothing hangs."""
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
    assert b"did not process this call" in page


def _half_gone(listening: socket.socket) -> None:
    peer = listening.accept()[0]
    h2 = H2Connection(H2Configuration(client_side=False))
    h2.initiate_connection()
    with peer:
        peer.sendall(h2.data_to_send())
        while 3 not in h2.streams:
            h2.receive_data(peer.recv(65536))
            peer.sendall(h2.data_to_send())
        # A GOAWAY without an error, after which only the first stream is processed.
        peer.sendall(bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes([0, 0, 0, 1]) + bytes(4))
        h2.send_headers(1, [(":status", "200")], end_stream=True)
        peer.sendall(h2.data_to_send())
        while peer.recv(65536):
            pass


@pytest.mark.parametrize("options", [{"http2": "false"}, {"akto_h2c": "false"}], ids=str)
def test_switched_off_it_is_refused_as_ever(options: Mapping[str, str]) -> None:
    """With either option off, a client that sends a preface gets the same answer as from plain mitmdump."""
    refusal = "Initiating HTTP/2 connections with prior knowledge are currently not supported"
    plain_options = {name: value for name, value in options.items() if not name.startswith("akto")}
    with serving_http2(None) as port:
        mode = f"reverse:http://127.0.0.1:{port}"
        with running_mitmdump(mode, options=plain_options, scripts=()) as plain:
            expected = answer(plain.addresses[0], PREFACE)
            plain.wait_for(refusal)
        with mirroring(mode, options=options) as mirror:
            assert answer(mirror.proxy.addresses[0], PREFACE) == expected
            mirror.proxy.wait_for(refusal)


def test_other_modes_are_left_alone() -> None:
    """In front of a TLS target, and as an ordinary proxy, a preface is refused as by plain mitmdump."""
    with serving_http2(None) as port:
        modes = ("regular", f"reverse:https://127.0.0.1:{port}")
        with running_mitmdump(*modes, options={"connection_strategy": "lazy"}, scripts=()) as plain:
            expected = [answer(address, PREFACE) for address in plain.addresses]
        with mirroring(*modes, options={"connection_strategy": "lazy"}) as mirror:
            assert [answer(address, PREFACE) for address in mirror.proxy.addresses] == expected


def test_h2load(http2: Mirror) -> None:
    """Thousands of requests on a few connections, 90 at once on each, are all answered and mirrored."""
    done = run_tool("h2load", "-n", "2000", "-c", "4", "-m", "90", f"{http2.proxy.url}/load")
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done, done
    assert len(http2.entries("/load", 2000)) == 2000


def test_nghttp(http2: Mirror, tmp_path: Path) -> None:
    """A GET and a POST by nghttp are answered and mirrored."""
    body = tmp_path / "body"
    body.write_text('{"sent":true}')
    for more in ([], ["-d", str(body), "-H", "content-type: application/json"]):
        assert '"host": "127.0.0.1:' in run_tool("nghttp", *more, f"{http2.proxy.url}/nghttp")
    assert {entry["requestPayload"] for entry in http2.entries("/nghttp", 2)} == {"", '{"sent":true}'}
