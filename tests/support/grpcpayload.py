"""The messages of a gRPC call in an entry: the one place of the tests that knows how a payload holds them."""

from __future__ import annotations

import base64
import struct

from tests.support.mirror import Entry


def merged(entry: Entry, which: str) -> bytes:
    """Return the messages in `requestPayload` or `responsePayload`, one after another behind one head; empty for none.

    Raises:
        ValueError: there is something else in it.
    """
    data = base64.b64decode(entry[which], validate=True)
    if data[:5] != struct.pack(">BI", 0, max(len(data) - 5, 0))[: len(data)]:
        raise ValueError(f"compressed or cut: {data[:5]!r}")
    return data[5:]
