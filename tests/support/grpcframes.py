"""gRPC frames as clients write them and as Akto's runtime reads them."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from tests.support.notes import Note


def frame(message: bytes, flag: int = 0) -> bytes:
    """Write a length-prefixed message."""
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


def decoded(text: str) -> Any:
    """Read a payload as Akto's runtime does: decode base64, drop five bytes, and take the rest as one message."""
    raw = b64decode(text, validate=True)
    assert raw[0] == 0
    assert int.from_bytes(raw[1:5], "big") == len(raw) - 5
    return Note.FromString(raw[5:])
