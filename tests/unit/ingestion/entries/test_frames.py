"""gRPC messages in payloads: their number, and their fields by number."""

from __future__ import annotations

from base64 import b64encode

import pytest

from akto_mirror.ingestion.entries import frames, shapes
from tests.support.grpcframes import frame
from tests.support.hostile import delimited, varint


def test_grpc_messages_are_counted_and_their_fields_numbered() -> None:
    """Frames are counted, and fields, without a schema, are named by number and typed by wire type."""
    inner = b"\x08\x07" + delimited(2, b"\xff\x00\x01")
    message = varint(1 << 3) + varint(300) + delimited(2, b"lamp") + delimited(3, inner) + b"\x25abcd"
    read = frames.read(b64encode(frame(message) * 2).decode())
    assert read is not None
    assert read[:4] == (2, 2 * len(message), False, False)
    named = {name: shapes.type_names(bits) for name, bits in read.fields}
    assert named == {
        "1": ["integer"], "2": ["string"], "3": ["message"], "3.1": ["integer"], "3.2": ["bytes"], "4": ["number"]
    }  # fmt: skip


def test_grpc_bodies_that_are_cut_or_compressed_say_so() -> None:
    """A message that was cut at the limit is recognised; compressed messages are counted and not read."""
    cut = frames.read(b64encode(frame(b"\x08\x07") + frame(b"\x08\x07")[:-1]).decode())
    packed = frames.read(b64encode(frame(b"\x1f\x8b\x08", flag=1)).decode())
    assert cut is not None
    assert packed is not None
    assert (cut.messages, cut.cut, cut.compressed) == (2, True, False)
    assert (packed.messages, packed.compressed, packed.fields) == (1, True, ())


@pytest.mark.parametrize("payload", ["", "\0\0\0\0\2\x08\x07", "not base64!", b64encode(b"ab").decode(), "é"])
def test_grpc_text_that_is_not_base64_of_frames_is_not_read(payload: str) -> None:
    """Text that is not base64 of frames, such as the Worker's UTF-8 text of a gRPC body, is not read."""
    assert frames.read(payload) is None
