"""Multipart: shortens the part that was cut, and adds the closing delimiter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from akto_mirror.capture.payload.charsets import whole_characters
from akto_mirror.capture.payload.media import parameter

# The most levels of nested multipart bodies that are closed; a part with more is dropped.
MOST_LEVELS = 8


class Part(NamedTuple):
    """A part of a multipart body.

    Attributes:
        name: the name in `content-disposition`; empty if there is none.
        filename: the file's name; empty if there is none.
        content_type: the part's own type; empty if there is none.
        start: where its content begins in the bytes.
        end: one behind the last byte of its content.
    """

    name: str
    filename: str
    content_type: str
    start: int
    end: int


def close(data: bytes, boundary: bytes, limit: int, levels: int = MOST_LEVELS) -> bytes | None:
    """Close a truncated multipart body with `CRLF--BOUNDARY--CRLF` (RFC 2046, section 5.1.1).

    A part with truncated headers is dropped; of truncated content, as much as fits is kept.

    Args:
        data: the body, cut anywhere.
        boundary: its boundary, not empty.
        limit: bytes that the result may have.
        levels: the most levels of nested multipart bodies to close.

    Returns:
        Empty if no part could be kept; None if this is not a multipart body.
    """
    newline = _newline(data, boundary)
    between = newline + b"--" + boundary
    ended = data.find(between + b"--")
    if 0 <= ended <= limit - len(between) - len(b"--"):
        return data[: ended + len(between) + len(b"--")] + newline[: limit - ended - len(between) - len(b"--")]
    if not _begins(data, boundary, limit):
        return None
    trailer = between + b"--" + newline
    head = data[: max(limit - len(trailer), 0)]
    end = _part_cut(head, between, newline)
    kept = _inner_closed(head[: max(end, 0)], between, newline, levels)
    return kept + trailer if kept else b""


def _inner_closed(head: bytes, between: bytes, newline: bytes, levels: int) -> bytes:
    """Close a multipart body in the last part: if it is left open, Akto's runtime reads no part of the outer body."""
    last = head.rfind(between)
    behind = last + len(between) if last >= 0 else len(between) - len(newline)
    blank = head.find(newline + newline, behind)
    if blank < 0 or b"multipart/" not in head[behind:blank].lower():
        return head
    part = _part(head[behind:blank], blank + 2 * len(newline), len(head))
    boundary = parameter(part.content_type, "boundary").encode("utf-8", "replace")
    if not boundary or not part.content_type.lower().startswith("multipart/"):
        return head
    closed = close(head[part.start :], boundary, len(head) - part.start, levels - 1) if levels else None
    return head[: part.start] + closed if closed else head[: max(last, 0)]


def _newline(data: bytes, boundary: bytes) -> bytes:
    """Return the line ending: CRLF, or LF, which some clients write."""
    behind = data.find(b"--" + boundary) + len(boundary) + 2
    return b"\n" if data[behind : behind + 1] == b"\n" else b"\r\n"


def _begins(data: bytes, boundary: bytes, limit: int) -> bool:
    first = b"--" + boundary
    return data.startswith(first[:limit]) or b"\n" + first in data[:limit]


def _part_cut(head: bytes, between: bytes, newline: bytes) -> int:
    """Return where the last part that can be kept ends, at most 0 if none can."""
    last = head.rfind(between)
    behind = last + len(between) if last >= 0 else len(between) - len(newline)
    blank = head.find(newline + newline, behind)
    if blank < 0:
        return last
    start, end = blank + 2 * len(newline), len(head)
    for size in range(min(len(between) + len(newline), end), 0, -1):
        if head.endswith((between + newline)[:size]):
            return max(end - size, start)
    return whole_characters(head, end)


def parts(data: bytes, boundary: bytes) -> Iterator[Part]:
    """Yield the parts in order; a truncated one extends to the end of the data."""
    newline = _newline(data, boundary)
    between = newline + b"--" + boundary
    position = data.find(between[len(newline) :])
    while position >= 0:
        behind = position + len(boundary) + 2
        if data.startswith(b"--", behind):
            return
        following = data.find(between, behind)
        end = following if following >= 0 else len(data)
        blank = data.find(newline + newline, behind, end + len(newline))
        if blank >= 0:
            yield _part(data[behind:blank], min(blank + 2 * len(newline), end), end)
        position = following + len(newline) if following >= 0 else -1


def _part(head: bytes, start: int, end: int) -> Part:
    headers = dict[str, str]()
    for line in head.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    name, filename = parameter(disposition, "name"), parameter(disposition, "filename")
    return Part(name, filename, headers.get("content-type", ""), start, end)
