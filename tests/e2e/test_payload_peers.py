"""Payloads of bodies that real peers write: grpcio's four kinds of calls, and MCP's event streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from grpc import Compression

from akto_mirror.capture.payload.events import request_id
from akto_mirror.capture.payload.render import JSON_TYPE, Rendered, Source, render
from tests.support.grpcframes import decoded
from tests.support.grpcpeer import SERVICE, EchoService
from tests.support.grpcwire import Wire, relayed
from tests.support.mcppeer import Forecast, serving_mcp
from tests.support.notes import Note

pytestmark = pytest.mark.e2e

LIMIT = 65_536
# Long enough for grpcio to compress them.
ITEMS = [f"item {number}" + " again" * 30 for number in range(5)]
MESSAGES = [Note(text=f"note {number}", number=number, many=[item]) for number, item in enumerate(ITEMS)]
MERGED = Note(text="note 4", number=4, many=ITEMS)
Kind = Callable[[grpc.Channel, list[bytes]], Any]


def unary(channel: grpc.Channel, messages: list[bytes]) -> None:
    """Send one message, receive one."""
    assert channel.unary_unary(f"/{SERVICE}/Unary")(messages[-1]) == messages[-1]


def client_stream(channel: grpc.Channel, messages: list[bytes]) -> None:
    """Send several messages, receive one."""
    channel.stream_unary(f"/{SERVICE}/Join")(iter(messages))


def server_stream(channel: grpc.Channel, messages: list[bytes]) -> None:
    """Send one message, receive several."""
    with pytest.raises(grpc.RpcError):
        list(channel.unary_stream(f"/{SERVICE}/Count")(b"%d" % len(messages)))


def both_streams(channel: grpc.Channel, messages: list[bytes]) -> None:
    """Send several messages, receive several."""
    assert list(channel.stream_stream(f"/{SERVICE}/Echo")(iter(messages))) == messages


def called(kind: Kind, messages: list[Any], compression: Compression) -> Wire:
    """Make a call and return the bytes on the wire."""
    with relayed(EchoService()) as wire:
        with grpc.insecure_channel(f"127.0.0.1:{wire.port}", compression=compression) as channel:
            kind(channel, [message.SerializeToString() for message in messages])
        return wire


def shown(body: bytes, limit: int = LIMIT) -> Rendered:
    """Render a body with the header `grpc-encoding: gzip`."""
    return render(Source(body[: 2 * limit], "application/grpc", len(body) > 2 * limit, "gzip"), limit)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
@pytest.mark.parametrize("kind", [unary, client_stream, both_streams])
def test_requests_of_grpcio(kind: Kind, compression: Compression) -> None:
    """All fields of all messages are in the payload, compressed or not."""
    wire = called(kind, MESSAGES, compression)
    found = shown(wire.request())
    assert decoded(found.text) == (MESSAGES[-1] if kind is unary else MERGED)
    assert found.whole
    assert (found.repaired == ()) == (kind is unary and compression is Compression.NoCompression)


def test_responses_of_grpcio() -> None:
    """Responses of bidirectional and server streams are in the payload."""
    found = shown(called(both_streams, MESSAGES, Compression.NoCompression).response())
    assert decoded(found.text) == MERGED
    body = called(server_stream, MESSAGES, Compression.NoCompression).response()
    assert shown(body).text == shown(b"\0\0\0\0\x05" + b"01234").text


LARGE = [
    Note(number=1, text="x" * 300_000),
    Note(text="first", many=[f"item {number}" for number in range(25_000)]),
    Note(text="outer", inner=Note(text="inner", inner=Note(text="y" * 300_000))),
]


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
@pytest.mark.parametrize("message", LARGE, ids=["one string", "many fields", "nested"])
def test_large_messages_of_grpcio(message: Any, compression: Compression) -> None:
    """As much of a 300 KB message as fits is still a valid message."""
    found = shown(called(unary, [message], compression).request())
    short = decoded(found.text)
    assert not found.whole
    assert LIMIT - 40 < len(found.text) <= LIMIT
    assert message.text.startswith(short.text)
    assert short.inner.text == message.inner.text
    assert message.inner.inner.text.startswith(short.inner.inner.text)
    assert list(short.many)[:-1] == list(message.many)[: max(0, len(short.many) - 1)]


@pytest.fixture(scope="module")
def mcp() -> Iterator[httpx.Client]:
    """A client of a real MCP server whose tool reports progress before its result."""
    tool = Forecast()
    tool.seen.set()
    accepted = {"accept": "application/json, text/event-stream"}
    with (
        serving_mcp(tool, json_response=False) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=accepted, trust_env=False) as client,
    ):
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = client.post("/mcp", json=call("initialize", asked))
        client.headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield client


def call(method: str, params: dict[str, Any], number: int | str = 1) -> dict[str, Any]:
    """Make a request."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


@pytest.mark.parametrize("number", [7, "seven"])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {}),
        ("tools/call", {"name": "forecast", "arguments": {"city": "Ulm"}, "_meta": {"progressToken": "p"}}),
    ],
)
def test_event_streams_of_mcp(mcp: httpx.Client, method: str, params: dict[str, Any], number: int | str) -> None:
    """The payload is the event with the response, in JSON; it is still JSON wherever it is cut."""
    asked = call(method, params, number)
    answer = mcp.post("/mcp", json=asked)
    kind = answer.headers["content-type"]
    assert kind.startswith("text/event-stream")
    assert ("notifications/progress" in answer.text) == (method == "tools/call")
    number_asked = request_id(json.dumps(asked))
    found = render(Source(answer.content, kind, request_id=number_asked), LIMIT)
    message = json.loads(found.text)
    assert message["id"] == number
    assert set(message) == {"jsonrpc", "id", "result"}
    assert found.content_type == JSON_TYPE
    for cut in range(len(answer.content)):
        half = render(Source(answer.content[:cut], kind, cut=True, request_id=number_asked), LIMIT)
        assert half.content_type == kind or json.loads(half.text) is not None
