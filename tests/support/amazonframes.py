"""Amazon's event streams: frames as its language model services write them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from zlib import crc32

TYPE = "application/vnd.amazon.eventstream"
HEADERS = b"\x0b:event-type\x07\x00\x05chunk"


def frame(payload: bytes, headers: bytes = HEADERS) -> bytes:
    """Write a frame: two lengths, their checksum, headers, payload, and the checksum of all."""
    size = 12 + len(headers) + len(payload) + 4
    lengths = size.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    begun = lengths + crc32(lengths).to_bytes(4, "big") + headers + payload
    return begun + crc32(begun).to_bytes(4, "big")


def chunk(value: Any) -> bytes:
    """Write a frame as Bedrock does: JSON that holds base64-encoded JSON."""
    return frame(json.dumps({"bytes": b64encode(json.dumps(value).encode()).decode(), "p": "abc"}).encode())
