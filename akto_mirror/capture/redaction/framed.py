"""Payloads that contain others: gRPC messages, the parts of a multipart, the events of a stream."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from itertools import count, islice

from akto_mirror.capture.payload import grpc, media, multipart, protobuf
from akto_mirror.capture.payload.leaves import Change, Place, splice
from akto_mirror.capture.redaction import gate
from akto_mirror.capture.redaction.look import Look
from akto_mirror.capture.redaction.rules.masks import MASK
from akto_mirror.capture.redaction.rules.values import TooManyError

# Fields and parts that are rewritten one by one; a payload with more of them is hidden unread.
MOST_FIELDS = 2_000
MOST_PARTS = 512
MOST_EVENT_LINES = 500

EVENT_LINE = re.compile(rb"[ \t\r\n]*(?:data|event|id|retry)?:")
EVENT_SEPARATORS = (b"\n\n", b"\r\n\r\n")
EVENT_ENDS = re.compile(rb"\r?\n\r?\n")
PART_LINE = re.compile(rb"\r\n|\n|\r")
DISPOSITION_NAME = re.compile(rb"(?i)(?<![\w-])name\*?[ \t]*=[ \t]*(?:\"((?:[^\"\\\r\n]|\\.)*)|([^;\s\"]+))")
RFC_8187 = re.compile(rb"(?i)\A[\w-]+'[\w-]*'")
RFC_2047 = b"=?"
MOST_ENCODED_WORDS = 8

# Looks into the content of a part by its content type.
LookInto = Callable[[bytes, str], bytes]


def grpc_messages(text: bytes, look: Look) -> bytes | None:
    """Hide what has to be hidden in the strings of a gRPC payload, and rewrite their lengths.

    Args:
        text: base64 as entries hold it: of a head and messages or, without a head, of anything.
        look: looks into the strings.

    Returns:
        None if it is not base64.

    Raises:
        TooManyError: it has more fields than are rewritten one by one.
    """
    raw = grpc.unwrapped(text)
    found = grpc.messages(raw, "", len(raw))
    if found is None and not (raw and b2a_base64(raw, newline=False) == text):
        return None
    left = count(MOST_FIELDS, -1)

    def rewritten(_: Place, content: bytes) -> bytes:
        if not next(left):
            raise TooManyError
        return look.inner(content)

    given = [raw] if found is None else [message.data for message in found]
    messages = [protobuf.rewrite(message, rewritten) for message in given]
    if messages == given:
        return text
    if found is None:
        return b2a_base64(messages[0], newline=False)
    data = b"".join(b"\x00" + len(message).to_bytes(4, "big") + message for message in messages)
    return b2a_base64(data, newline=False)


def parts(data: bytes, content_type: str, into: LookInto, look: Look) -> bytes | None:
    """Hide parts of a multipart by their names, and look into the others; None if it is not one."""
    boundary = _boundary(data, content_type)
    if not boundary:
        return None
    changes = list[Change]()
    for number, part in enumerate(islice(multipart.parts(data, boundary), MOST_PARTS + 1)):
        if number == MOST_PARTS:
            changes.append(Change(part.start, len(data), look.hidden.unread()))
            break
        content = data[part.start : part.end]
        head = data[max(0, data.rfind(b"--" + boundary, 0, part.start)) : part.start]
        rule = next(filter(None, (look.names.of(_name(*found)) for found in DISPOSITION_NAME.findall(head))), None)
        if rule:
            look.hidden.by_name(rule)
        new = MASK if rule else into(content, part.content_type)
        if new != content:
            changes.append(Change(part.start, part.end, new))
    return splice(data, changes) if changes or data.count(boundary) > 1 else None


def _name(quoted: bytes, token: bytes) -> bytes:
    """Return the name of `password`, of `utf-8''password` (RFC 8187) and of `=?utf-8?B?cGFzc3dvcmQ=?=` (RFC 2047)."""
    name = RFC_8187.sub(b"", (quoted or token).replace(b"\\", b""), count=1)
    if not name.startswith(RFC_2047):
        return name
    # Python's own parser goes through all that follows from each of them.
    name = RFC_2047.join(name.split(RFC_2047, MOST_ENCODED_WORDS + 1)[: MOST_ENCODED_WORDS + 1])
    try:
        return str(make_header(decode_header(name.decode("ascii", "replace")))).encode("utf-8", "replace")
    except (HeaderParseError, LookupError, ValueError):
        return name


def _boundary(data: bytes, content_type: str) -> bytes:
    """Return the boundary that the body has, whatever its type says."""
    named = media.boundary(content_type, data.lstrip(b"\r\n"))
    if named and b"--" + named in data:
        return named
    first = data.lstrip(b"\r\n")
    return media.boundary("", first) if first.startswith(b"--") else b""


def are_events(data: bytes, content_type: str) -> bool:
    """Return whether a payload is an event stream, by its type or its first line."""
    return "event-stream" in content_type or EVENT_LINE.match(data) is not None


def events(data: bytes, places: Sequence[gate.Place], look: Look) -> bytes:
    """Look into the events with places in them; their data is joined as in WHATWG's standard, section 9.2.6."""
    changes, done = list[Change](), 0
    for place in places:
        if place.start < done:
            continue
        start = max(done, *(_behind(data, end, done, place.start) for end in EVENT_SEPARATORS))
        while start < place.end:
            end = EVENT_ENDS.search(data, max(start, place.start))
            done = end.start() if end else len(data)
            changes.append(Change(start, done, _event(data[start:done], look)))
            start = end.end() if end else len(data)
            if look.hidden.is_spent and start < len(data):
                return splice(data, [*changes, Change(start, len(data), look.hidden.unread())])
    return splice(data, changes)


def _behind(data: bytes, mark: bytes, start: int, end: int) -> int:
    """Return where the text behind the last mark begins; the start if there is none."""
    found = data.rfind(mark, start, end)
    return found + len(mark) if found >= 0 else start


def _event(block: bytes, look: Look) -> bytes:
    """Look into one event, whose data over several lines is looked into as a whole."""
    lines = PART_LINE.split(block)
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    if len(data) < 2:
        return b"\n".join(_event_lines(lines, look)) if len(lines) > 1 else _event_line(block, look)
    text = b"\n".join(data)
    new = look.inner(text)
    others = [line for line in lines if not line.startswith(b"data:")]
    shown = _event_lines(others, look)
    if new == text and shown == others:
        return block
    return b"\n".join([*shown, *(b"data: " + line for line in new.split(b"\n"))])


def _event_lines(lines: list[bytes], look: Look) -> list[bytes]:
    shown = [_event_line(line, look) for line in lines[:MOST_EVENT_LINES]]
    return shown if len(lines) <= MOST_EVENT_LINES else [*shown, look.hidden.unread()]


def _event_line(line: bytes, look: Look) -> bytes:
    name, mark, value = line.partition(b":")
    if not mark or name not in (b"data", b"event", b"id", b"retry", b""):
        return look.inner(line)
    blank = b" " if value.startswith(b" ") else b""
    return name + mark + blank + look.inner(value.removeprefix(b" "))
