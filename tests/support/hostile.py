"""Entries with arbitrary content, for property tests."""

from __future__ import annotations

import json
from base64 import b64encode

from hypothesis import strategies as st

from tests.support.grpcframes import frame


def varint(number: int) -> bytes:
    """Encode a number as protocol buffers do."""
    head = bytes([number & 0x7F | 0x80]) if number > 0x7F else bytes([number])
    return head + varint(number >> 7) if number > 0x7F else head


def delimited(number: int, value: bytes) -> bytes:
    """Encode a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


HOSTILE = (
    ("application/json", "[" * 65_000),
    ("application/json", '{"a":"' + '\\"' * 32_000),
    ("application/json", '{"query":"query' + " " * 60_000 + '!"}'),
    ("application/json", json.dumps({"query": "query " * 10_000})),
    ("application/json", json.dumps([{"query": "{" * 60_000}])),
    ("application/xml", "<!--" * 16_000),
    ("application/xml", "<a " + "b" * 65_000 + ">"),
    ("application/xml", ("<a " + "b=" * 900 + ">") * 30),
    ("application/xml", "<a" + "<" * 65_000),
    ("multipart/form-data", "content-disposition:" * 3_000),
    ("multipart/form-data", 'content-disposition: name="' * 2_000),
    ("application/x-www-form-urlencoded", "&" * 65_000),
    ("application/x-www-form-urlencoded", "%" * 65_000),
    ("text/event-stream", "data:\n" * 10_000),
    ("application/grpc", b64encode(bytes(49_000)).decode()),
    ("application/grpc", b64encode(frame(b"\x0a" * 48_000)).decode()),
    ("application/grpc", b64encode(frame(delimited(1, b"\x08\x01" * 200) * 100)).decode()),
)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


CONTENT_TYPES = st.sampled_from(
    [*(content_type for content_type, _ in HOSTILE), "text/html", "application/soap+xml", "x"]
)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


PAYLOADS = (
    ANY_TEXT
    | JSON_VALUES.map(json.dumps)
    | st.builds(lambda value, end: json.dumps(value)[:end], JSON_VALUES, st.integers(0, 60))
    | st.binary(max_size=60).map(lambda data: b64encode(data).decode())
    | st.text("<>/!-?[]ab ='\"\n", max_size=60)
    | st.text("&=%+a1é", max_size=60)
    | st.sampled_from(['{"query":"query A { b }"}', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}'])
)


HEADERS = st.builds(
    lambda kind, more: json.dumps({"Content-Type": kind, **more}),
    CONTENT_TYPES,
    st.dictionaries(st.sampled_from(["host", "Upgrade", "mcp-session-id"]), st.text(max_size=9) | st.integers()),
)


ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "path": ANY_TEXT | st.text("/?&=%a1-", max_size=40),
        "method": ANY_TEXT,
        "requestHeaders": HEADERS | ANY_TEXT | JSON_VALUES,
        "responseHeaders": HEADERS | ANY_TEXT,
        "requestPayload": PAYLOADS | JSON_VALUES,
        "responsePayload": PAYLOADS,
        "time": ANY_TEXT | st.integers().map(str) | st.integers(),
        "statusCode": ANY_TEXT | st.none(),
        "type": st.sampled_from(["HTTP/1.1", "WebSocket", "", None]),
        "akto_vxlan_id": ANY_TEXT | st.none(),
        "ip": ANY_TEXT | JSON_VALUES,
    },
)
