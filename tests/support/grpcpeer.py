"""A real gRPC service without generated code: messages are bytes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from tests.support.certs import Identity
from tests.support.proxy import DEADLINE

SERVICE = "test.Echo"

# gRPC takes messages of at most 4 MiB by default.
LARGE = {"grpc.max_receive_message_length": -1}

# The size of each message of a flood.
FLOOD_BYTES = 64 * 1024


@dataclass
class EchoService:
    """Calls that echo or fail, and a record of the messages received.

    Attributes:
        received: messages of bidirectional calls, in order of arrival.
        cancelled: set when an endless call, or the call of a slow reader, ends.
        sent: messages of a flood that gRPC took from the service.
        sipping: set when a slow reader has its first message.
        thirsty: set by the test when a slow reader is to read on.
    """

    received: list[bytes] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    sipping: threading.Event = field(default_factory=threading.Event)
    thirsty: threading.Event = field(default_factory=threading.Event)

    def unary(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Echo a message, with initial and trailing metadata."""
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"), ("x-raw-bin", b"\x00\xff")))
        return message

    def fail(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Refuse with a status, details and trailing metadata."""
        context.set_trailing_metadata((("x-last", "2"), ("grpc-status-details-bin", b"\x01\x02\xff")))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"no {message.decode()}: caf\u00e9 100%")
        raise AssertionError("abort raises")

    def count(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Send the requested number of messages, then end with an error status."""
        for number in range(int(message)):
            yield b"%d" % number
        context.set_code(grpc.StatusCode.DATA_LOSS)
        context.set_details("after all messages")

    def endless(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Send a message, then nothing until the client goes away."""
        over = threading.Event()
        context.add_callback(over.set)
        context.add_callback(self.cancelled.set)
        yield message
        over.wait(DEADLINE)

    def detail(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Refuse with the message as the status details."""
        context.set_trailing_metadata((("grpc-status-details-bin", message),))
        context.abort(grpc.StatusCode.NOT_FOUND, "see the details")
        raise AssertionError("abort raises")

    def fill(self, message: bytes, context: grpc.ServicerContext) -> bytes:  # noqa: ARG002 - grpc's signature
        """Answer with the requested number of bytes."""
        return bytes(int(message))

    def tick(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:  # noqa: ARG002 - grpc's signature
        """Send the requested number of messages, one every twentieth of a second."""
        for number in range(int(message)):
            yield b"%d" % number
            time.sleep(0.05)

    def flood(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Send the requested number of long messages, as fast as the client takes them."""
        for number in range(int(message)):
            self.sent = number + 1
            yield bytes(FLOOD_BYTES)
        context.set_trailing_metadata((("x-last", "2"),))

    def sip(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Read one message, and the others only when the test allows it."""
        context.add_callback(self.cancelled.set)
        next(messages)
        self.sipping.set()
        self.thirsty.wait(DEADLINE)
        return b"%d" % (1 + sum(1 for _ in messages))

    def join(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:  # noqa: ARG002 - grpc's signature
        """Answer all messages with one, joined."""
        return b",".join(messages)

    def repeat(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:  # noqa: ARG002 - grpc's signature
        """Send the message three times."""
        yield from (message,) * 3

    def gather(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:  # noqa: ARG002 - as above
        """Answer with all messages in one, as protobuf merges them."""
        return b"".join(messages)

    def echo(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:  # noqa: ARG002 - as above
        """Answer each message as it comes."""
        for message in messages:
            self.received.append(message)
            yield message

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler of all methods."""
        methods = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Large": grpc.unary_unary_rpc_method_handler(self.unary),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Detail": grpc.unary_unary_rpc_method_handler(self.detail),
            "Fill": grpc.unary_unary_rpc_method_handler(self.fill),
            "Tick": grpc.unary_stream_rpc_method_handler(self.tick),
            "Flood": grpc.unary_stream_rpc_method_handler(self.flood),
            "Sip": grpc.stream_unary_rpc_method_handler(self.sip),
            "Repeat": grpc.unary_stream_rpc_method_handler(self.repeat),
            "Gather": grpc.stream_unary_rpc_method_handler(self.gather),
            "Echo": grpc.stream_stream_rpc_method_handler(self.echo),
            "Chat": grpc.stream_stream_rpc_method_handler(self.echo),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)


class Outbox:
    """Messages of a client's stream, sent one by one by the test; `close` ends the iteration."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def send(self, message: bytes) -> None:
        """Send a message."""
        self._messages.put(message)

    def close(self) -> None:
        """End the stream."""
        self._messages.put(None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._messages.get, None)


def path(method: str) -> str:
    """Return a method's request path."""
    return f"/{SERVICE}/{method}"


@contextmanager
def serving_grpc(
    service: EchoService, identity: Identity | None, options: Mapping[str, int] | None = None
) -> Iterator[int]:
    """Serve on a free port, which is yielded.

    Args:
        service: the calls.
        identity: for TLS; None: without.
        options: gRPC core options, such as `grpc.max_connection_age_ms`.
    """
    server = grpc.server(ThreadPoolExecutor(max_workers=128), options=[*LARGE.items(), *(options or {}).items()])
    server.add_generic_rpc_handlers((service.handler(),))
    if identity:
        credentials = grpc.ssl_server_credentials([(identity.key.read_bytes(), identity.cert.read_bytes())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def channel(port: int, authority: bytes | None, options: Mapping[str, int] | None = None) -> Iterator[grpc.Channel]:
    """Open a channel with a separate connection, over TLS if the PEM text of an authority to trust is given."""
    # Channels with the same address and options would share one connection.
    chosen = [*LARGE.items(), ("grpc.use_local_subchannel_pool", 1), *(options or {}).items()]
    if authority is None:
        opened = grpc.insecure_channel(f"localhost:{port}", chosen)
    else:
        opened = grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority), chosen)
    with opened:
        yield opened
