"""The messages of a gRPC call in an entry: the only place in the tests that knows the format of their payload."""

from __future__ import annotations

import base64
import struct

from tests.support.mirror import Entry


def merged(entry: Entry, which: str) -> bytes:
    """Return the joined messages in `requestPayload` or `responsePayload`, without their frame header; empty for none.

    Raises:
        ValueError: the payload is compressed or cut.
    """
    data = base64.b64decode(entry[which], validate=True)
    if data[:5] != struct.pack(">BI", 0, max(len(data) - 5, 0))[: len(data)]:
        raise ValueError(f"compressed or cut: {data[:5]!r}")
    return data[5:]
