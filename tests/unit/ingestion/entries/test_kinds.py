"""What an exchange is besides HTTP, and what it asks for."""

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
    """It is known by its type, its headers and its query."""
    assert recognise(entry_type, headers, NOTHING, query) == kind


def test_what_is_asked_for_is_bounded() -> None:
    """As many calls as a list shows, and the beginning of a long name."""
    call = '{"jsonrpc":"2.0","method":"%s"}' % ("m" * 1000)
    kind = recognise("", {}, read_payload(f"[{','.join([call] * 100)}]", "application/json"), {})
    assert kind.mark == kinds.JSON_RPC
    assert kind.operations == ("m" * kinds.MAX_OPERATION_CHARS,) * kinds.MAX_CALLS


def test_the_target_of_a_call_is_named() -> None:
    """Where the protocol says in which parameter it is, and it is a text."""
    for params, name in (('{"uri":"file:///a"}', "resources/read file:///a"), ('{"uri":7}', "resources/read")):
        text = f'{{"jsonrpc":"2.0","method":"resources/read","params":{params}}}'
        assert recognise("", {}, read_payload(text, "application/json"), {}) == Kind(kinds.MCP, (name,))
