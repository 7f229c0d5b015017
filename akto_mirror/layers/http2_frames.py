"""Parses the frames of an HTTP/2 connection just far enough to remove graceful GOAWAYs (RFC 9113, section 4.1)."""

from __future__ import annotations

import struct

HEADER = 9
GOAWAY = 7
SETTINGS = 4

# The largest frame, in bytes, that mitmproxy lets its peers send.
MOST = 2**17

# What every client sends first (RFC 9113, section 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class FrameReader:
    """Passes the bytes of a connection on, except GOAWAY frames without an error.

    A peer that sends one neither opens nor accepts new streams, but continues the open ones (RFC 9113, section 6.8).
    h2 treats every GOAWAY as the end of the connection.

    Args:
        skip: bytes before the first frame.

    Attributes:
        last_stream: the last stream that the peer continues, once it has sent a GOAWAY without an error.
        overlong: a frame is longer than allowed, which suggests that this is not HTTP/2. h2 would wait for its end.
    """

    def __init__(self, skip: int = 0) -> None:
        self.last_stream: int | None = None
        self.overlong = False
        self._skip = skip
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take received bytes, and return those that are to be passed on now, including bytes held back earlier."""
        data = self._held + data
        at, passed = 0, []
        while True:
            passed.append(data[at : at + self._skip])
            at += len(passed[-1])
            self._skip -= len(passed[-1])
            left_out = None if self._skip else self._header(data, at)
            if left_out is None:
                break
            at += left_out
        self._held = data[at:]
        return b"".join(passed)

    def _header(self, data: bytes, at: int) -> int | None:
        """Return how many bytes of a frame to leave out, and note how many to pass on; None if more are needed."""
        if len(data) < at + HEADER:
            return None
        length = int.from_bytes(data[at : at + 3], "big")
        self.overlong = self.overlong or length > MOST
        if data[at + 3] != GOAWAY or length < 8 or self.overlong:
            self._skip = HEADER + length
            return 0
        if len(data) < at + HEADER + length:
            return None
        last, error = struct.unpack_from(">II", data, at + HEADER)
        if error:
            self._skip = HEADER + length
            return 0
        self.last_stream = last & 0x7FFFFFFF
        return HEADER + length


def greets(data: bytes) -> bool:
    """Return whether this may be the beginning of a server's first frame: a SETTINGS frame for the connection."""
    return data[3:4] in (b"", bytes([SETTINGS])) and data[5:HEADER] == bytes(len(data[5:HEADER]))
