"""The messages of a gRPC call in an entry: the one place of the tests that knows how a payload holds them."""

from __future__ import annotations

import base64
import struct

from tests.support.mirror import Entry


def wire(entry: Entry, which: str) -> bytes:
    """Return the bytes of `requestPayload` or `responsePayload` as gRPC put them on the wire, cut or whole."""
    return base64.b64decode(entry[which], validate=True)


def messages(entry: Entry, which: str) -> list[bytes]:
    """Return the whole messages in a payload.

    Raises:
        ValueError: there is something else in it.
    """
    data, found = wire(entry, which), []
    while data:
        flag, size = struct.unpack_from(">BI", data)
        if flag or len(data) < 5 + size:
            raise ValueError(f"compressed or cut: {data[:5]!r}")
        found.append(data[5 : 5 + size])
        data = data[5 + size :]
    return found


def frames(*sent: bytes) -> bytes:
    """Return messages as gRPC puts them on the wire: each with a flag byte (not compressed) and its length."""
    return b"".join(struct.pack(">BI", 0, len(message)) + message for message in sent)
