"""gRPC calls without TLS: each becomes one entry that real protobuf decodes, or is skipped with a reason."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from tests.support.grpcframes import decoded, frame
from tests.support.grpcpeer import EchoService, Outbox, channel, path, serving_grpc
from tests.support.mirror import Entry, Mirror, headers, mirroring
from tests.support.nghttp2 import run_tool
from tests.support.notes import Note
from tests.support.proxy import DEADLINE

pytestmark = pytest.mark.e2e

ONE, TWO = Note(text="caf\u00e9", many=["one"], number=1), Note(many=["two"], ratio=0.5)
BOTH = Note(text="caf\u00e9", many=["one", "two"], number=1, ratio=0.5)
THRICE = Note(text="caf\u00e9", many=["one"] * 3, number=1)
NONE = Note()


class Setup(NamedTuple):
    """A target, mitmdump with the addon in front of it, and the calls that the target saw."""

    mirror: Mirror
    service: EchoService
    dead: str


@pytest.fixture
def setup() -> Iterator[Setup]:
    """Run target and proxy; the proxy's second port leads to no target."""
    service = EchoService()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nowhere = gone.getsockname()[1]
    # An eager proxy closes a client's connection when it cannot connect to the target, before there is a call.
    lazy = {"connection_strategy": "lazy"}
    with (
        serving_grpc(service, None) as port,
        mirroring(f"reverse:http://localhost:{port}", f"reverse:http://127.0.0.1:{nowhere}", options=lazy) as mirror,
    ):
        yield Setup(mirror, service, ":".join(map(str, mirror.proxy.addresses[1])))


def seen(entry: Entry) -> tuple[str, str, str, Any, Any]:
    """Return a call's path, status and host, and its messages merged by protobuf."""
    host = headers(entry, "requestHeaders")["host"]
    payloads = (decoded(entry[which]) if entry[which] else NONE for which in ("requestPayload", "responsePayload"))
    return entry["path"], entry["statusCode"], host, *payloads


def ended(mirror: Mirror) -> str:
    """End the proxy, and return its counts."""
    mirror.proxy.stop()
    return mirror.proxy.wait_for("akto: captured .*")[0]


CALLS: dict[str, Callable[[grpc.Channel], object]] = {
    "Unary": lambda opened: opened.unary_unary(path("Unary"))(wire(ONE), timeout=DEADLINE),
    "Fail": lambda opened: opened.unary_unary(path("Fail"))(wire(ONE), timeout=DEADLINE),
    "Nothing": lambda opened: opened.unary_unary(path("Nothing"))(wire(ONE), timeout=DEADLINE),
    "Repeat": lambda opened: list(opened.unary_stream(path("Repeat"))(wire(ONE), timeout=DEADLINE)),
    "Gather": lambda opened: opened.stream_unary(path("Gather"))(map(wire, (ONE, TWO)), timeout=DEADLINE),
    "Echo": lambda opened: list(opened.stream_stream(path("Echo"))(map(wire, (ONE, TWO)), timeout=DEADLINE)),
}

ANSWERS = {"Unary": (ONE, ONE), "Repeat": (ONE, THRICE), "Gather": (BOTH, BOTH), "Echo": (BOTH, BOTH)}
ERRORS = {"Fail": (ONE, NONE), "Nothing": (ONE, NONE), "Endless": (ONE, ONE)}


def wire(note: Any) -> bytes:
    """Return a message on the wire."""
    return bytes(note.SerializeToString())


def test_calls_of_grpcio(setup: Setup) -> None:
    """One call of each kind is mirrored; one that is refused or cancelled before any response is skipped."""
    mirror = setup.mirror
    with channel(mirror.proxy.port, None) as opened, grpc.insecure_channel(setup.dead) as dead:
        for call in CALLS.values():
            with suppress(grpc.RpcError):
                call(opened)
        answers = opened.unary_stream(path("Endless"))(wire(ONE), timeout=DEADLINE)
        assert next(answers) == wire(ONE)
        answers.cancel()
        assert setup.service.cancelled.wait(DEADLINE)
        with pytest.raises(grpc.RpcError) as refused:
            dead.unary_unary(path("Unary"))(wire(ONE), timeout=DEADLINE)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        cancel_unanswered(opened, setup.service)
        counts = ended(mirror)
    host = f"localhost:{mirror.proxy.port}"
    expected = [(path(name), "200", host, *both) for name, both in (ANSWERS | ERRORS).items()]
    assert sorted(map(seen, mirror.akto.entries), key=str) == sorted(expected, key=str)
    assert f"captured {len(expected)} = shipped {len(expected)} " in counts
    assert "skipped 2 (no response 2)" in counts


def cancel_unanswered(opened: grpc.Channel, service: EchoService) -> None:
    """Cancel a call that its target has begun and not answered."""
    outbox = Outbox()
    outbox.send(wire(ONE))
    call = opened.stream_unary(path("Sip")).future(iter(outbox), timeout=DEADLINE)
    assert service.sipping.wait(DEADLINE)
    service.cancelled.clear()
    call.cancel()
    outbox.close()
    assert service.cancelled.wait(DEADLINE)
    service.thirsty.set()


@pytest.mark.parametrize(
    ("name", "options", "count"), [("h2load", ("-n", "300", "-c", "3", "-m", "90"), 300), ("nghttp", (), 1)]
)
def test_calls_of_nghttp2(setup: Setup, tmp_path: Path, name: str, options: tuple[str, ...], count: int) -> None:
    """A client that only writes gRPC frames makes many calls at once."""
    body = tmp_path / "body"
    body.write_bytes(frame(wire(ONE)))
    fields = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    run_tool(name, *options, "-d", str(body), *fields, f"{setup.mirror.proxy.url}{path('Unary')}")
    counts = ended(setup.mirror)
    host = f"127.0.0.1:{setup.mirror.proxy.port}"
    assert list(map(seen, setup.mirror.akto.entries)) == [(path("Unary"), "200", host, ONE, ONE)] * count
    assert f"captured {count} = shipped {count} " in counts
