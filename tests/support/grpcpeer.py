"""A real gRPC service without generated code: messages are bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from tests.support.certs import Identity
from tests.support.proxy import DEADLINE

SERVICE = "test.Echo"


@dataclass
class EchoService:
    """Calls that echo, and notes of what reached it.

    Attributes:
        received: messages of bidirectional calls, in order of arrival.
        cancelled: set when an endless call ends.
    """

    received: list[bytes] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def unary(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer a message with itself and initial and trailing metadata."""
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"), ("x-raw-bin", b"\x00\xff")))
        return message

    def fail(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Refuse with a status, details and trailing metadata."""
        context.set_trailing_metadata((("x-last", "2"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"no {message.decode()}: caf\u00e9 100%")
        raise AssertionError("abort raises")

    def count(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Send as many messages as asked for, then end with a status of its own."""
        for number in range(int(message)):
            yield b"%d" % number
        context.set_code(grpc.StatusCode.DATA_LOSS)
        context.set_details("after all messages")

    def endless(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Send a message, then nothing until the client goes away."""
        context.add_callback(self.cancelled.set)
        yield message
        self.cancelled.wait(DEADLINE)

    def join(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:  # noqa: ARG002 - grpc's signature
        """Answer all messages with one."""
        return b",".join(messages)

    def echo(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:  # noqa: ARG002 - as above
        """Answer each message as it comes."""
        for message in messages:
            self.received.append(message)
            yield message

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the calls as grpc takes them."""
        methods = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Large": grpc.unary_unary_rpc_method_handler(self.unary),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Echo": grpc.stream_stream_rpc_method_handler(self.echo),
            "Chat": grpc.stream_stream_rpc_method_handler(self.echo),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)


@contextmanager
def serving_grpc(service: EchoService, identity: Identity) -> Iterator[int]:
    """Serve over TLS on a free port, which is yielded."""
    server = grpc.server(ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers((service.handler(),))
    credentials = grpc.ssl_server_credentials([(identity.key.read_bytes(), identity.cert.read_bytes())])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        service.cancelled.set()
        server.stop(None).wait()


@contextmanager
def channel(port: int, authority: bytes) -> Iterator[grpc.Channel]:
    """Open a channel that trusts the authority in this PEM text."""
    with grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority)) as opened:
        yield opened
