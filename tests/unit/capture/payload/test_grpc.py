"""Payloads of gRPC are one frame header and one message, as Akto's runtime reads them."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from base64 import b64decode, b64encode
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import grpc
from akto_mirror.capture.payload.grpc import Message
from akto_mirror.capture.payload.render import Rendered, Source, render
from tests.support.grpcframes import decoded, frame
from tests.support.notes import Note

LIMIT = 65_536
TRAILERS = b"grpc-status:0\r\n"


def rendered(data: bytes, content_type: str = "application/grpc", limit: int = LIMIT, **more: Any) -> Rendered:
    """Render frames within the limit."""
    found = render(Source(data, content_type, **more), limit)
    assert len(found.text) <= limit
    return found


HELLO = Note(text="hello", number=42)
WORLD = Note(text="world", many=["x"])
WIRE = HELLO.SerializeToString()


def test_a_whole_call_passes() -> None:
    """A whole call passes byte for byte."""
    found = rendered(frame(WIRE))
    assert found == Rendered(b64encode(frame(WIRE)).decode(), "application/grpc")


def test_a_stream_is_merged() -> None:
    """The payload of a stream has the fields of all its messages."""
    found = rendered(frame(WIRE) + frame(WORLD.SerializeToString()) + frame(b""))
    assert decoded(found.text) == Note(text="world", number=42, many=["x"])
    assert found.whole
    assert found.repaired == ("grpc",)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
        ("", gzip.compress),
    ],
)
def test_compressed_messages(encoding: str, compress: Any) -> None:
    """Compressed messages are decompressed by `grpc-encoding`; plain ones may occur between them."""
    data = frame(compress(WIRE), 1) + frame(WORLD.SerializeToString())
    assert decoded(rendered(data, grpc_encoding=encoding).text) == Note(text="world", number=42, many=["x"])


def test_what_cannot_be_inflated_is_left_out() -> None:
    """Messages that cannot be decompressed are left out, and the others are kept."""
    data = frame(b"\xff\x06snappy", 1) + frame(WIRE)
    assert decoded(rendered(data, grpc_encoding="snappy").text) == HELLO


@pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/grpc-web", "application/grpc"])
def test_trailers_are_left_out(content_type: str) -> None:
    """Trailers, which gRPC-web sends as a frame, are left out."""
    assert decoded(rendered(frame(WIRE) + frame(TRAILERS, 0x80), content_type).text) == HELLO
    assert rendered(frame(TRAILERS, 0x80), content_type).text == ""


def test_base64_of_grpc_web_text() -> None:
    """Padding may occur between chunks, as servers flush them; without trailers the text passes unchanged."""
    whole = b64encode(frame(WIRE))
    assert rendered(whole, "application/grpc-web-text").text == whole.decode()
    chunks = whole + b64encode(frame(WORLD.SerializeToString())) + b64encode(frame(TRAILERS, 0x80))
    found = rendered(chunks, "application/grpc-web-text+proto")
    assert decoded(found.text) == Note(text="world", number=42, many=["x"])
    cut = b64encode(frame(Note(text="y" * 500).SerializeToString()))[:-101]
    assert decoded(rendered(cut, "application/grpc-web-text", cut=True).text).text.startswith("yyy")


@pytest.mark.parametrize("compress", [None, gzip.compress])
@pytest.mark.parametrize(
    "message",
    [
        Note(number=1, text="x" * 300_000),
        Note(text="first", many=[f"item {number}" for number in range(30_000)]),
        Note(text="outer", inner=Note(text="middle", inner=Note(text="y" * 300_000))),
        Note(text="outer", notes=[Note(text=f"note {number}", number=number) for number in range(20_000)]),
    ],
    ids=["one string", "many fields", "nested", "many messages"],
)
@pytest.mark.parametrize("kept", [10**9, 131_072])
def test_large_messages(message: Any, compress: Any, kept: int) -> None:
    """A message larger than the limit keeps its first fields, up to the limit."""
    wire = message.SerializeToString()
    data = frame(compress(wire), 1) if compress else frame(wire)
    found = rendered(data[:kept], grpc_encoding="gzip", cut=len(data) > kept)
    assert len(found.text) > LIMIT - 40
    assert not found.whole
    short = decoded(found.text)
    assert short.text == message.text or message.text.startswith(short.text)
    assert not message.many or list(short.many)[:-1] == list(message.many)[: len(short.many) - 1]
    if message.notes:
        assert list(short.notes)[:-1] == list(message.notes)[: len(short.notes) - 1]
    if message.inner.text:
        assert short.inner.text == "middle"
        assert len(short.inner.inner.text) > 48_000


def test_json_is_text() -> None:
    """A single JSON message is kept as it is, several become an array, and a cut one is closed."""
    one, two = b'{"a":1.0e5, "a":2}', b'{"b":2}'
    assert rendered(frame(one), "application/grpc+json").text == one.decode()
    assert rendered(frame(one) + frame(two) + frame(b"{}", 2), "application/connect+json").text == (
        f"[{one.decode()},{two.decode()}]"
    )
    assert rendered((frame(one) + frame(two))[:-3], "application/grpc-web+json", cut=True).text == (
        f"[{one.decode()},{{}}]"
    )
    assert json.loads(rendered(frame(b'["' + b"x" * 999), "application/grpc+json", 100, cut=True).text)[0] == "x" * 96
    assert rendered(one, "application/grpc+json") == Rendered(one.decode(), "application/grpc+json")


def test_what_is_not_a_frame_is_base64() -> None:
    """Bytes that are not a frame are encoded as base64."""
    assert rendered(b"plain", "application/grpc").text == b64encode(b"plain").decode()
    assert rendered(b"", "application/grpc").text == ""


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, 120), st.data())
def test_any_frames_at_any_cut(messages: list[bytes], limit: int, data: st.DataObject) -> None:
    """The result is base64 of one frame header and exactly the bytes that it announces."""
    flags = data.draw(st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=5, max_size=5))
    wire = b"".join(map(frame, messages, flags))
    cut = data.draw(st.integers(0, len(wire)))
    encoding = data.draw(st.sampled_from(["", "gzip", "zstd", "deflate", "identity", "?"]))
    found = rendered(wire[:cut], limit=limit, grpc_encoding=encoding, cut=cut < len(wire))
    raw = b64decode(found.text, validate=True)
    assert not raw or len(wire[:cut]) < 5 or int.from_bytes(raw[1:5], "big") == len(raw) - 5


@given(st.binary(max_size=100), st.sampled_from(["grpc", "grpc-web-text", "grpc+json", "connect+json"]))
def test_any_bytes(data: bytes, kind: str) -> None:
    """Any bytes are rendered without an error."""
    rendered(data, f"application/{kind}", 64)


def test_bombs_are_bounded() -> None:
    """Memory is bounded, whatever the size and number of decompressed messages."""
    bomb = frame(gzip.compress(bytes(50_000_000)), 1)
    assert len(rendered(bomb * 3, grpc_encoding="gzip").text) <= LIMIT
    start = time.thread_time()
    grpc.messages(frame(b"") * 500_000, "", LIMIT)
    grpc.messages(frame(gzip.compress(b""), 1) * 50_000, "gzip", LIMIT)
    grpc.unwrapped(b"AA==" * 500_000)
    assert time.thread_time() - start < 3


def test_a_limit_too_small_for_a_head_keeps_nothing() -> None:
    """A limit too small for a frame header, or of 0, keeps nothing."""
    for limit in range(8):
        assert rendered(frame(WIRE), limit=limit).text == ""
    assert grpc.wrapped([Message(WIRE, whole=True)], 8) == b"AAAAAAA="
    assert grpc.wrapped([Message(b"\xff" * 9, whole=True)], 12) == b64encode(frame(b"\xff" * 4))
