"""JSON: closes truncated text, without a parser, which could change the spelling of values.

The text before the cut is split by its strings, and pairs of brackets are collapsed, all by the interpreter's own
functions for bytes; only the last few hundred bytes are read token by token. The whole text is never checked: what
Akto's runtime takes and strict parsers do not (NaN, a trailing comma) is closed as well, and text that is not JSON at
all is found out where its brackets do not match or its last tokens make no sense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from akto_mirror.capture.payload.json_tokens import BLANK, CLOSERS, STRING, Tail

# Akto's runtime overflows its stack at about 2,000 levels, the json module of Python 3.11 at 1,000.
MAX_DEPTH = 500

# All that may have to be closed behind the last token: every level, and a string.
TAIL = MAX_DEPTH + 2

# Levels alone count for depth, not which bracket makes them.
BRACES = bytes.maketrans(b"[]", b"{}")
LEVELS = {ord("{"): 1, ord("}"): -1}

# Levels of brackets that are collapsed at once. Deeper than this the rest is walked through.
COLLAPSES = 8

# Steps back to a comma or bracket outside strings: valid JSON has one before the second key or value.
STEPS = 16

# Where the part of whole JSON may begin whose brackets need only be counted: that is many times faster.
PARTS = 4
SHORT = 4_096

NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))

BEGINS = re.compile(BLANK + rb'*[\[{"\-0-9tfnNI]')
LEVEL = re.compile(rb'"' + STRING + rb'"?|[\]\[{}]', re.DOTALL)

# What keeps a browser from running JSON as a script; Akto's runtime reads nothing behind it.
XSSI = re.compile(rb"[ \t\r\n]*(?:\)\]\}'?,?|while ?\(1\);?|for ?\(;;\);?)[ \t]*\r?\n?")

# JSON with padding (JSONP): a call of a function, before which some servers write a comment or ask whether it exists.
PADDING = re.compile(
    rb"[ \t\r\n;]*(?:/\*[^*/]*\*/[ \t\r\n]*)?(?:typeof [\w$.]{1,200} ?===? ?[\"']function[\"'] ?&& ?)?"
    rb"[A-Za-z_$][\w$.\[\]\"']{0,200}[ \t\r\n]*\([ \t\r\n]*(?=[{\[])"
)
PADDED = re.compile(rb"\)[ \t\r\n;]*\Z")
LONGEST_END = 16

# What the standard library's parser takes and msgspec does not: escapes of lone surrogates, and what is no number.
ODD = (b"\\u", b"NaN", b"Infinity")

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_raw = msgspec.json.Decoder(msgspec.Raw)


def without_prefix(data: bytes) -> bytes:
    """Take off a prefix that keeps browsers from running the JSON, such as `)]}',`."""
    if data[:1] in (b"{", b"["):
        return data
    found = XSSI.match(data)
    return data[found.end() :] if found else data


def without_padding(data: bytes) -> bytes:
    """Take off the call of a function that JSON stands in (JSONP), of which the end may be cut."""
    found = PADDING.match(data) if data[:1] not in (b"{", b"[") else None
    if found is None:
        return data
    end = PADDED.search(data, max(found.end(), len(data) - LONGEST_END))
    return data[found.end() : end.start() if end else len(data)]


def bare(data: bytes) -> bytes:
    """Return whole JSON without what keeps Akto's runtime from reading it.

    That is a prefix against scripts, or a call in which something other than an object comes first; of `call({…})` it
    reads the object.
    """
    if data[:1] in (b"{", b"["):
        return data
    plain = without_prefix(data)
    text = without_padding(plain)
    if text is plain or b"({" in plain[: plain.index(b"(") + 2] or not is_json(text):
        return plain
    return text


def is_json(data: bytes) -> bool:
    """Return whether the text is one JSON value, lone surrogates and NaN included, nested less than a parser bears."""
    try:
        _raw.decode(data)
    except RecursionError:
        return False
    except msgspec.DecodeError:
        return any(mark in data for mark in ODD) and _is_odd_json(data)
    return True


def evened(data: bytes) -> bytes:
    """Replace what msgspec does not take by what it does: to look something up, not to be sent."""
    return SURROGATE.sub(rb"\\u0020", data).replace(b"NaN", b"0").replace(b"Infinity", b"0")


def _is_odd_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def is_deep(data: bytes, deepest: int = MAX_DEPTH) -> bool:
    """Return whether whole JSON has more levels than the deepest.

    Of text that is not whole JSON up to twice the levels may go unnoticed.
    """
    if _has_few(data, b"[{", deepest):
        return False
    outer = deepest // 25
    for part in range(PARTS):
        start = len(data) * part // PARTS
        if _is_shallow(data[start:], deepest - outer):
            return _may_be_deep(data[:start], deepest, outer) and depth_cut(data, deepest) >= 0
    return depth_cut(data, deepest) >= 0


def _is_shallow(data: bytes, most: int) -> bool:
    """Return whether the end of whole JSON adds few levels: each open one was opened before and is closed later."""
    half = len(data) // 2
    begin, end = data[:half], data[half:]
    return _has_few(begin, b"[{", most) and _has_few(end, b"[{", most) and _has_few(end, b"]}", most)


def _may_be_deep(data: bytes, deepest: int, outer: int) -> bool:
    """Return whether the beginning of JSON may be too deep, or has more levels open at its end than the outer ones."""
    brackets = _brackets(_masked(data))
    left = _open(brackets)
    return left is None or len(left) > outer or _stays_deep(brackets, deepest)


def _has_few(data: bytes, marks: bytes, most: int) -> bool:
    """Return whether there are at most this many of two bytes; in long data `bytes.count` takes ten times as long."""
    if len(data) < SHORT:
        return data.count(marks[:1]) + data.count(marks[1:]) <= most
    one, other = marks[:1], marks[1:]
    return other not in data.replace(one, other).replace(other, b" ", most)


def depth_cut(data: bytes, deepest: int = MAX_DEPTH) -> int:
    """Return where the level below the deepest begins, or -1 if there is none: the text is to be cut there."""
    if len(data) <= deepest or _has_few(data, b"[{", deepest):
        return -1
    if not _stays_deep(_brackets(_masked(data)), deepest):
        return -1
    level = 0
    for found in LEVEL.finditer(data):
        first = data[found.start()]
        if first in b"[{":
            level += 1
            if level > deepest:
                return found.start()
        elif first in b"]}":
            level -= 1
    return -1


def _stays_deep(brackets: bytes, deepest: int) -> bool:
    """Return whether text may be too deep: each step removes at most one level, and the rest is at least as deep."""
    levels = brackets.translate(BRACES)
    for step in range(COLLAPSES):
        # Going down and up again leads to no level that was not reached before.
        levels = levels.replace(b"}{", b"")
        if levels.count(b"{") + step <= deepest:
            return False
        levels = levels.replace(b"{}", b"")
    return max(accumulate(map(LEVELS.__getitem__, levels), initial=0)) + COLLAPSES > deepest


def _masked(data: bytes) -> bytes:
    """Replace escaped backslashes and quotes by as many other bytes: what quotes are left begin and end strings."""
    return data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data


def _brackets(masked: bytes) -> bytes:
    """Return the brackets outside strings. Pairs of quotes without a bracket between them go first, nearly all."""
    left = masked.translate(None, NO_STRUCTURE).replace(b'""', b"")
    return b"".join(left.split(b'"')[::2])


def _collapsed(brackets: bytes) -> bytes:
    return brackets.replace(b"[]", b"").replace(b"{}", b"")


def _open(brackets: bytes) -> bytes | None:
    """Return the brackets that are open at the end, None if some do not match."""
    for _ in range(COLLAPSES):
        shorter = _collapsed(brackets)
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    stack = bytearray()
    for bracket in brackets:
        if bracket in b"[{":
            stack.append(bracket)
        elif not stack or CLOSERS[stack.pop()] != bracket:
            return None
    return bytes(stack)


def is_balanced(data: bytes) -> bool:
    """Return whether all strings end and all brackets match, which is most of what a lenient parser asks for."""
    masked = _masked(data)
    return masked.count(b'"') % 2 == 0 and _open(_brackets(masked)) == b""


def close(data: bytes, limit: int) -> bytes | None:
    """Close JSON that was cut, at the end of the data or at the limit: one value, or several that follow one another.

    An unfinished key, number or literal is dropped, an unfinished string ended, open arrays and objects are closed.
    Numbers stay as they were spelt, and so do names that occur twice.

    Args:
        data: UTF-8, cut anywhere.
        limit: bytes that the result may have.

    Returns:
        Empty where nothing could be kept; None if this is no JSON.
    """
    head = data[:limit]
    deep = depth_cut(head)
    head = head if deep < 0 else head[:deep]
    if not BEGINS.match(head):
        return None if head.strip() else b""
    masked = _masked(head)
    start = _anchor(masked)
    stack = None if start is None else _open(_brackets(masked[:start]))
    return None if start is None or stack is None else Tail(head, limit, start, stack).closed()


def _anchor(masked: bytes) -> int | None:
    """Return where to begin with reading tokens: a comma or bracket outside strings before the tail, or 0."""
    end = len(masked) - TAIL
    if end <= 0:
        return 0
    inside = masked.count(b'"', 0, end) % 2 == 1
    for _ in range(STEPS):
        end = masked.rfind(b'"', 0, end) if inside else end
        found = max(masked.rfind(mark, 0, end) for mark in (b",", b"[", b"{"))
        if found < 0:
            return 0
        inside = masked.count(b'"', found, end) % 2 == 1
        if not inside:
            return found
        end = found
    return None


def array(items: Sequence[bytes], limit: int) -> bytes:
    """Return a JSON array of texts that are JSON, as far as the limit goes: the item in which it falls is closed."""
    whole = b"[" + b",".join(items) + b"]"
    if len(whole) <= limit:
        return whole
    kept, left = list[bytes](), limit - len(b"[]")
    for item in items:
        if len(item) > left:
            kept += filter(None, (close(item, left),))
            break
        kept.append(item)
        left -= len(item) + len(b",")
    return b"[" + b",".join(kept) + b"]" if limit >= len(b"[]") else b""
