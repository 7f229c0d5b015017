"""gRPC calls without TLS between real grpcio peers: their results, and their entries."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from google.protobuf import any_pb2, struct_pb2

from tests.support.grpcpayload import merged
from tests.support.grpcpeer import FLOOD_BYTES, EchoService, channel, path, serving_grpc
from tests.support.mirror import Mirror, headers, mirroring
from tests.support.proxy import ADDON, DEADLINE, Proxy

pytestmark = pytest.mark.e2e

# Not a synchronisation: seconds for which a count must not change.
HELD = 1.0


class Setup(NamedTuple):
    """The client and the target of a call, and the mirror between them."""

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
    """End the proxy, and return its counts."""
    mirror.proxy.stop()
    return mirror.proxy.wait_for("akto: captured .*")[0]


@pytest.mark.oldest
def test_protobuf_is_decoded_from_the_entry(setup: Setup) -> None:
    """Protobuf can read the messages of a call from its entry; path, host and status are correct."""
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
    """A status with a protobuf message as its details arrives unchanged; the call is mirrored with its request."""
    details = any_pb2.Any()
    details.Pack(struct_pb2.Value(string_value="no milk"))
    with pytest.raises(grpc.RpcError) as caught:
        setup.channel.unary_unary(path("Detail"))(details.SerializeToString(), timeout=DEADLINE)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    trailers = dict(caught.value.trailing_metadata())
    assert any_pb2.Any.FromString(trailers["grpc-status-details-bin"]) == details
    assert merged(setup.mirror.entry(path("Detail")), "requestPayload") == details.SerializeToString()


def test_trailers_only(setup: Setup) -> None:
    """A method unknown to the target gets a trailers-only response, and is mirrored."""
    with pytest.raises(grpc.RpcError) as caught:
        setup.channel.unary_unary(path("Nothing"))(b"x", timeout=DEADLINE)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    entry = setup.mirror.entry(path("Nothing"))
    assert headers(entry, "responseHeaders")["grpc-status"] == "12"
    assert merged(entry, "responsePayload") == b""


def test_deadline(setup: Setup) -> None:
    """A call that exceeds its deadline ends at the target too, and is mirrored as far as it went."""
    # Connects before the deadline starts, which has to be enough for the first response.
    setup.channel.unary_unary(path("Unary"))(b"x", timeout=DEADLINE)
    answers = setup.channel.unary_stream(path("Endless"))(b"first", timeout=3 * HELD)
    assert next(answers) == b"first"
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert setup.service.cancelled.wait(DEADLINE)
    assert merged(setup.mirror.entry(path("Endless")), "responsePayload") == b"first"


@pytest.mark.parametrize("side", ["client", "target"])
def test_keepalive_pings(side: str) -> None:
    """A call continues while its client or its target sends keepalive pings all the time."""
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
    """A target's graceful GOAWAY does not affect open calls; the next call uses a new connection."""
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
    """Return the proxy's peak memory."""
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
    """The target is held back and memory stays bounded; other calls on the connection continue; nothing is lost."""
    before = peak_mib(setup.mirror.proxy)
    answers = setup.channel.unary_stream(path("Flood"))(b"2000", timeout=DEADLINE)
    next(answers)
    assert steady(lambda: setup.service.sent) * FLOOD_BYTES < 24 * 1024 * 1024
    assert setup.channel.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
    assert peak_mib(setup.mirror.proxy) - before < 24
    assert sum(len(answer) for answer in answers) == 1999 * FLOOD_BYTES
    assert ("x-last", "2") in answers.trailing_metadata()


def flood(sent: list[int]) -> Iterator[bytes]:
    """Yield long messages as fast as gRPC takes them, and record each."""
    for number in range(2000):
        sent.append(number)
        yield bytes(FLOOD_BYTES)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_target_that_reads_slowly(setup: Setup) -> None:
    """The client is held back and memory stays bounded; other calls on the connection continue; nothing is lost."""
    before = peak_mib(setup.mirror.proxy)
    sent: list[int] = []
    call = setup.channel.stream_unary(path("Sip")).future(flood(sent), timeout=DEADLINE)
    assert steady(lambda: len(sent)) * FLOOD_BYTES < 24 * 1024 * 1024
    assert setup.channel.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
    assert peak_mib(setup.mirror.proxy) - before < 24
    setup.service.thirsty.set()
    assert call.result() == b"2000"


@pytest.mark.parametrize("strategy", ["eager", "lazy"])
def test_connection_strategies(strategy: str) -> None:
    """The proxy uses HTTP/2 to the target, whether mitmproxy connects eagerly or lazily."""
    options = {"connection_strategy": strategy}
    with (
        serving_grpc(EchoService(), None) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}", options=options) as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        assert merged(mirror.entry(path("Unary")), "requestPayload") == b"x"


def test_ignored_hosts_pass_untouched() -> None:
    """Traffic of hosts that mitmproxy ignores passes as raw bytes, and is not mirrored."""
    with (
        serving_grpc(EchoService(), None) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}", options={"ignore_hosts": "127.0.0.1"}) as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        assert "captured 0 = " in ended(mirror)


def test_goes_on_over_a_reload(tmp_path: Path) -> None:
    """A connected client continues after the script is reloaded, with a new connection to the target."""
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
    """A saved call is replayed to the target over HTTP/2."""
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
