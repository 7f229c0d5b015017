"""gRPC through mitmdump over HTTP/2, with and without TLS, between real grpcio peers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pytest

from tests.support.certs import Identity, make_identity
from tests.support.grpcpayload import merged as payload
from tests.support.grpcpeer import EchoService, Outbox, channel, path, serving_grpc
from tests.support.mirror import Mirror, headers, mirroring
from tests.support.notes import Note
from tests.support.proxy import DEADLINE, confdir, running_mitmdump

pytestmark = [pytest.mark.e2e, pytest.mark.oldest]

LIMIT = 65_536

# Seconds to wait for a message that the proxy is expected to hold back.
HELD = 1.0


class Setup(NamedTuple):
    """The client and the target of a call, and the mirror between them."""

    channel: grpc.Channel
    service: EchoService
    mirror: Mirror


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Return the target's certificate."""
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="module", params=["TLS", "clear text"])
def setup(request: pytest.FixtureRequest, identity: Identity) -> Iterator[Setup]:
    """Run a target, mitmdump with the addon before it, and a client's channel."""
    service, tls = EchoService(), request.param == "TLS"
    trust = {"ssl_verify_upstream_trusted_ca": str(identity.ca)}
    with (
        serving_grpc(service, identity if tls else None) as port,
        mirroring(f"reverse:{'https' if tls else 'http'}://localhost:{port}", options=trust) as mirror,
        channel(mirror.proxy.port, authority() if tls else None) as opened,
    ):
        yield Setup(opened, service, mirror)


def authority() -> bytes:
    """Return the certificate authority of the proxies."""
    return (confdir() / "mitmproxy-ca-cert.pem").read_bytes()


def test_unary(setup: Setup) -> None:
    """A unary call keeps its message, status, initial and trailing metadata; its messages are mirrored as base64."""
    reply, call = setup.channel.unary_unary(path("Unary")).with_call(b"\x08\x01\xff", timeout=DEADLINE)
    assert reply == b"\x08\x01\xff"
    assert call.code() is grpc.StatusCode.OK
    assert ("x-first", "1") in call.initial_metadata()
    assert {("x-last", "2"), ("x-raw-bin", b"\x00\xff")} <= set(call.trailing_metadata())
    entry = setup.mirror.entry(path("Unary"))
    assert payload(entry, "requestPayload") == payload(entry, "responsePayload") == b"\x08\x01\xff"
    assert (entry["method"], entry["statusCode"]) == ("POST", "200")
    assert headers(entry, "requestHeaders")["content-type"] == "application/grpc"
    assert headers(entry, "requestHeaders")["host"] == f"localhost:{setup.mirror.proxy.port}"


def test_error_status(setup: Setup) -> None:
    """A call that fails shows the client the target's status, details and trailing metadata."""
    with pytest.raises(grpc.RpcError) as caught:
        setup.channel.unary_unary(path("Fail"))(b"milk", timeout=DEADLINE)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "no milk: caf\u00e9 100%"
    assert ("x-last", "2") in caught.value.trailing_metadata()
    assert payload(setup.mirror.entry(path("Fail")), "requestPayload") == b"milk"


def test_server_stream(setup: Setup) -> None:
    """Every message of a server's stream arrives, and so does the status after them."""
    answers = setup.channel.unary_stream(path("Count"))(b"500", timeout=DEADLINE)
    assert [next(answers) for _ in range(500)] == [b"%d" % number for number in range(500)]
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert caught.value.details() == "after all messages"
    entry = setup.mirror.entry(path("Count"))
    assert payload(entry, "responsePayload") == b"".join(b"%d" % number for number in range(500))


def test_client_stream(setup: Setup) -> None:
    """Every message of a client's stream arrives, and is mirrored."""
    sent = [b"%d" % number for number in range(500)]
    assert setup.channel.stream_unary(path("Join"))(iter(sent), timeout=DEADLINE) == b",".join(sent)
    entry = setup.mirror.entry(path("Join"))
    assert payload(entry, "requestPayload") == b"".join(sent)
    assert payload(entry, "responsePayload") == b",".join(sent)


def test_bidirectional(setup: Setup) -> None:
    """Each answer arrives while the client still holds back its next message."""
    outbox = Outbox()
    answers = setup.channel.stream_stream(path("Echo"))(iter(outbox), timeout=DEADLINE)
    for message in (b"one", b"two", b"three"):
        outbox.send(message)
        assert next(answers) == message
    outbox.close()
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK
    entry = setup.mirror.entry(path("Echo"))
    assert payload(entry, "requestPayload") == payload(entry, "responsePayload") == b"onetwothree"


def test_many_calls_at_once(setup: Setup) -> None:
    """Calls that share a connection proceed independently, and are mirrored separately."""
    outboxes = [Outbox() for _ in range(90)]
    calls = [setup.channel.stream_stream(path("Chat"))(iter(outbox), timeout=DEADLINE) for outbox in outboxes]
    for message in (b"one", b"two"):
        for number, outbox in reversed(list(enumerate(outboxes))):
            outbox.send(b"%d %s" % (number, message))
        for number, answers in enumerate(calls):
            assert next(answers) == b"%d %s" % (number, message)
    for outbox, answers in zip(outboxes, calls, strict=True):
        outbox.close()
        assert list(answers) == []
    entries = setup.mirror.entries(path("Chat"), len(calls))
    expected = {b"%d one%d two" % (number, number) for number in range(len(calls))}
    assert {payload(entry, "requestPayload") for entry in entries} == expected
    assert {payload(entry, "responsePayload") for entry in entries} == expected


def test_large_message(setup: Setup) -> None:
    """A message much longer than HTTP/2's windows passes whole; as much as fits is mirrored, as a valid message."""
    message = Note(text="0123456789abcdef" * 200_000, number=1).SerializeToString()
    assert setup.channel.unary_unary(path("Large"))(message, timeout=DEADLINE) == message
    entry = setup.mirror.entry(path("Large"))
    assert payload(entry, "requestPayload") == payload(entry, "responsePayload")
    kept = Note.FromString(payload(entry, "requestPayload")).text
    assert LIMIT - 40 < len(entry["requestPayload"]) <= LIMIT
    assert Note.FromString(message).text.startswith(kept)
    assert len(kept) > LIMIT // 4 * 3 - 40


def test_large_answer(setup: Setup) -> None:
    """A response of 8 MiB passes whole; it is not protobuf, so it is simply cut to what fits in the entry."""
    size = 8 * 1024 * 1024
    assert setup.channel.unary_unary(path("Fill"))(b"%d" % size, timeout=DEADLINE) == bytes(size)
    assert payload(setup.mirror.entry(path("Fill")), "responsePayload") == bytes(LIMIT // 4 * 3 - 5)


def test_bidirectional_deadlocks_without_the_addon(identity: Identity) -> None:
    """Plain mitmdump sends the target nothing until the client has sent its last message."""
    service, outbox = EchoService(), Outbox()
    trust = {"ssl_verify_upstream_trusted_ca": str(identity.ca)}
    with (
        serving_grpc(service, identity) as port,
        running_mitmdump(f"reverse:https://localhost:{port}", options=trust, scripts=()) as proxy,
        channel(proxy.port, authority()) as opened,
    ):
        answers = opened.stream_stream(path("Echo"))(iter(outbox), timeout=DEADLINE)
        outbox.send(b"ping")
        time.sleep(HELD)  # Not a synchronisation: the time for which nothing must happen.
        assert service.received == []
        outbox.close()
        assert list(answers) == [b"ping"]


def test_client_cancels(setup: Setup) -> None:
    """A call that the client cancels is cancelled at the target, and mirrored with what was seen."""
    answers = setup.channel.unary_stream(path("Endless"))(b"first", timeout=DEADLINE)
    assert next(answers) == b"first"
    answers.cancel()
    assert setup.service.cancelled.wait(DEADLINE)
    entry = setup.mirror.entry(path("Endless"))
    assert payload(entry, "requestPayload") == payload(entry, "responsePayload") == b"first"
