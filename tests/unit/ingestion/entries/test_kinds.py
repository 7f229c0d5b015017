"""The kind of an exchange on top of HTTP, and its operations."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.entries import kinds
from akto_mirror.ingestion.entries.fields import read_payload
from akto_mirror.ingestion.entries.kinds import Kind, recognise

NOTHING = read_payload("", "")


@pytest.mark.parametrize(
    ("entry_type", "headers", "query", "kind"),
    [
        ("WebSocket", {}, {}, Kind(kinds.WEBSOCKET)),
        ("HTTP/1.1", {"upgrade": "WebSocket"}, {}, Kind(kinds.WEBSOCKET)),
        ("HTTP/2.0", {"content-type": "application/grpc+proto"}, {}, Kind(kinds.GRPC)),
        ("HTTP/1.1", {}, {"query": "query Q { a }"}, Kind(kinds.GRAPHQL, ("query Q",))),
        ("HTTP/1.1", {}, {"query": "lamps"}, Kind("")),
        ("HTTP/1.1", {"mcp-session-id": "1"}, {}, Kind(kinds.MCP)),
    ],
)
def test_an_exchange_without_a_payload(
    entry_type: str, headers: dict[str, str], query: dict[str, str], kind: Kind
) -> None:
    """The kind is recognised by type, headers and query."""
    assert recognise(entry_type, headers, NOTHING, query) == kind


def test_what_is_asked_for_is_bounded() -> None:
    """The number of operations and the length of their names are bounded."""
    call = '{"jsonrpc":"2.0","method":"%s"}' % ("m" * 1000)
    kind = recognise("", {}, read_payload(f"[{','.join([call] * 100)}]", "application/json"), {})
    assert kind.mark == kinds.JSON_RPC
    assert kind.operations == ("m" * kinds.MAX_OPERATION_CHARS,) * kinds.MAX_CALLS


def test_the_target_of_a_call_is_named() -> None:
    """The target is named if the protocol defines its parameter, and if it is a string."""
    for params, name in (('{"uri":"file:///a"}', "resources/read file:///a"), ('{"uri":7}', "resources/read")):
        text = f'{{"jsonrpc":"2.0","method":"resources/read","params":{params}}}'
        assert recognise("", {}, read_payload(text, "application/json"), {}) == Kind(kinds.MCP, (name,))
