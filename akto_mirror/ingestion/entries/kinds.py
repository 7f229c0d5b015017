"""Recognises WebSocket, gRPC, GraphQL, MCP and JSON-RPC, and the requested operations (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from akto_mirror.ingestion.entries.fields import Payload, is_grpc

WEBSOCKET = "WebSocket"
GRPC = "gRPC"
GRAPHQL = "GraphQL"
MCP = "MCP"
JSON_RPC = "JSON-RPC"

MAX_CALLS = 20
MAX_OPERATION_CHARS = 100
MAX_DOCUMENT_CHARS = 8_192

# Each call has one of these members.
OF_CALLS = frozenset({"query", "extensions", "jsonrpc"})

# The methods of the Model Context Protocol's schema, by their first word.
MCP_METHODS = frozenset(
    "completion elicitation initialize logging notifications ping prompts resources roots sampling tasks tools".split()  # noqa: SIM905 - as a list of literals it takes a line a name
)
# What is called, in the parameters of these methods.
MCP_TARGETS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "resources/subscribe": "uri"}

# GraphQL, section 2.3: an operation is a keyword with an optional name, or a selection set alone.
OPERATION = re.compile(r"(?:^|[}\s,])(query|mutation|subscription)(?:\s+([_A-Za-z]\w*))?\s*[({@]", re.ASCII)
COMMENT = re.compile(r"#[^\r\n]*")


class Kind(NamedTuple):
    """The recognised protocol.

    Attributes:
        mark: One of this module's names; empty for a plain request.
        operations: The requested operations, such as `query Orders` or `tools/call forecast`.
    """

    mark: str
    operations: tuple[str, ...] = ()


PLAIN = Kind("")


def recognise(entry_type: str, headers: Mapping[str, str], request: Payload, query: Mapping[str, str]) -> Kind:
    """Recognise an exchange.

    Args:
        entry_type: The entry's `type`.
        headers: The request's, by lower-case names.
        request: The request's payload.
        query: The query string's parameters.
    """
    if entry_type == WEBSOCKET or headers.get("upgrade", "").lower() == "websocket":
        return Kind(WEBSOCKET)
    if is_grpc(headers.get("content-type", "")):
        return Kind(GRPC)
    if query and _is_graphql(query):
        return Kind(GRAPHQL, (_graphql(query),))
    calls = [call for call in islice(_objects(request.messages), MAX_CALLS) if not OF_CALLS.isdisjoint(call)]
    if calls and (operations := [_graphql(call) for call in calls if _is_graphql(call)]):
        return Kind(GRAPHQL, tuple(operations))
    return _rpc(calls, headers)


def _rpc(calls: list[Mapping[str, Any]], headers: Mapping[str, str]) -> Kind:
    methods = [call for call in calls if call.get("jsonrpc") == "2.0" and isinstance(call.get("method"), str)]
    operations = tuple(_called(call) for call in methods)
    if "mcp-session-id" in headers or "mcp-protocol-version" in headers or any(map(_is_mcp, methods)):
        return Kind(MCP, operations)
    return Kind(JSON_RPC, operations) if operations else PLAIN


def _objects(messages: tuple[Any, ...]) -> Iterator[Mapping[str, Any]]:
    """Return the messages that may request an operation: the message itself, or each of a list."""
    for message in messages:
        for each in message if isinstance(message, list) else (message,):
            if isinstance(each, dict):
                yield each


def _is_mcp(call: Mapping[str, Any]) -> bool:
    return call["method"].partition("/")[0] in MCP_METHODS


def _called(call: Mapping[str, Any]) -> str:
    method: str = call["method"]
    params = call.get("params")
    target = params.get(MCP_TARGETS.get(method, "")) if isinstance(params, dict) else None
    return (f"{method} {target}" if isinstance(target, str) else method)[:MAX_OPERATION_CHARS]


def _is_graphql(call: Mapping[str, Any]) -> bool:
    document = call.get("query")
    if not isinstance(document, str):
        extensions = call.get("extensions")
        return isinstance(extensions, dict) and "persistedQuery" in extensions
    text = _document(document)
    return (text.startswith("{") and "}" in text) or OPERATION.search(text) is not None


def _document(text: str) -> str:
    return COMMENT.sub("", text[:MAX_DOCUMENT_CHARS]).strip()


def _graphql(call: Mapping[str, Any]) -> str:
    """Return the operation's kind and name; if a document has several, those of the one in `operationName`."""
    wanted = call.get("operationName")
    named = wanted if isinstance(wanted, str) else ""
    query = call.get("query")
    found = [(hit[1], hit[2] or "") for hit in OPERATION.finditer(_document(query if isinstance(query, str) else ""))]
    kind, name = next((hit for hit in found if hit[1] == named), found[0] if found else ("query", ""))
    return f"{kind} {named or name}".strip()[:MAX_OPERATION_CHARS]
