"""Heads of HTTP/1 messages, read from a socket."""

from __future__ import annotations

from io import BufferedReader


def read_head(stream: BufferedReader) -> bytes:
    """Return the lines before the empty one; fewer where the connection ends before it."""
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join(lines)
