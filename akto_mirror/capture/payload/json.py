"""JSON: closes truncated text without a parser, which could change how values are written.

Most of the text is only reduced to its brackets, of which matching pairs are removed, with the fast methods of `bytes`;
the last few hundred bytes are read token by token. The text is never fully validated: what Akto's runtime accepts and
strict parsers do not (NaN, a trailing comma) is closed too. Text that is not JSON is detected by brackets that do not
match and by invalid tokens at the end.
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

# Bytes at the end that are read token by token: room for a closing bracket of each level, and a quote.
TAIL = MAX_DEPTH + 2

# For the depth, the kind of a bracket does not matter.
BRACES = bytes.maketrans(b"[]", b"{}")
LEVELS = {ord("{"): 1, ord("}"): -1}

# How often all innermost pairs of brackets are removed; what is left is read bracket by bracket.
COLLAPSES = 8

# The most steps back to a comma or bracket outside strings; valid JSON has one before each key or value but the first.
STEPS = 16

# In whole JSON, brackets after one of `PARTS` positions may only need to be counted, which is many times faster than
# matching them. In fewer than `SHORT` bytes, they are counted with `bytes.count`.
PARTS = 4
SHORT = 4_096

NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))

BEGINS = re.compile(BLANK + rb'*[\[{"\-0-9tfnNI]')
LEVEL = re.compile(rb'"' + STRING + rb'"?|[\]\[{}]', re.DOTALL)

# Prefixes that keep browsers from running JSON as a script (XSSI). Akto's runtime cannot read JSON with such a prefix.
XSSI = re.compile(rb"[ \t\r\n]*(?:\)\]\}'?,?|while ?\(1\);?|for ?\(;;\);?)[ \t]*\r?\n?")

# JSON with padding (JSONP): a function call, before which some servers write a comment or a check for the function.
PADDING = re.compile(
    rb"[ \t\r\n;]*(?:/\*[^*/]*\*/[ \t\r\n]*)?(?:typeof [\w$.]{1,200} ?===? ?[\"']function[\"'] ?&& ?)?"
    rb"[A-Za-z_$][\w$.\[\]\"']{0,200}[ \t\r\n]*\([ \t\r\n]*(?=[{\[])"
)
PADDED = re.compile(rb"\)[ \t\r\n;]*\Z")
LONGEST_END = 16

# Signs of JSON that the standard library's parser accepts and msgspec does not: lone surrogates, NaN and infinity.
ODD = (b"\\u", b"NaN", b"Infinity")

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_raw = msgspec.json.Decoder(msgspec.Raw)


def without_prefix(data: bytes) -> bytes:
    """Remove a prefix that keeps browsers from running JSON, such as `)]}',`."""
    if data[:1] in (b"{", b"["):
        return data
    found = XSSI.match(data)
    return data[found.end() :] if found else data


def without_padding(data: bytes) -> bytes:
    """Remove the function call around JSON (JSONP), whose end may be cut."""
    found = PADDING.match(data) if data[:1] not in (b"{", b"[") else None
    if found is None:
        return data
    end = PADDED.search(data, max(found.end(), len(data) - LONGEST_END))
    return data[found.end() : end.start() if end else len(data)]


def bare(data: bytes) -> bytes:
    """Return whole JSON without an XSSI prefix, and without a function call (JSONP) around anything but an object.

    Akto's runtime can read none of these; of `call({…})` it reads the object.
    """
    if data[:1] in (b"{", b"["):
        return data
    plain = without_prefix(data)
    text = without_padding(plain)
    if text is plain or b"({" in plain[: plain.index(b"(") + 2] or not is_json(text):
        return plain
    return text


def is_json(data: bytes) -> bool:
    """Return whether the text is one JSON value, with lone surrogates and NaN allowed, that a parser can read."""
    try:
        _raw.decode(data)
    except RecursionError:
        return False
    except msgspec.DecodeError:
        return any(mark in data for mark in ODD) and _is_odd_json(data)
    return True


def evened(data: bytes) -> bytes:
    """Replace surrogates, NaN and infinity so that msgspec can parse the text: for reading values, not for sending."""
    return SURROGATE.sub(rb"\\u0020", data).replace(b"NaN", b"0").replace(b"Infinity", b"0")


def _is_odd_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def is_deep(data: bytes, deepest: int = MAX_DEPTH) -> bool:
    """Return whether whole JSON has more than `deepest` levels.

    In text that is not whole JSON, up to twice as many may go unnoticed.
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
    """Return whether the end of whole JSON adds few levels; each needs an opening bracket, and later a closing one."""
    half = len(data) // 2
    begin, end = data[:half], data[half:]
    return _has_few(begin, b"[{", most) and _has_few(end, b"[{", most) and _has_few(end, b"]}", most)


def _may_be_deep(data: bytes, deepest: int, outer: int) -> bool:
    """Return whether the beginning of JSON may be too deep, or leaves more than `outer` levels open at its end."""
    brackets = _brackets(_masked(data))
    left = _open(brackets)
    return left is None or len(left) > outer or _stays_deep(brackets, deepest)


def _has_few(data: bytes, marks: bytes, most: int) -> bool:
    """Return whether two bytes occur at most `most` times; in long data `bytes.count` takes ten times as long."""
    if len(data) < SHORT:
        return data.count(marks[:1]) + data.count(marks[1:]) <= most
    one, other = marks[:1], marks[1:]
    return other not in data.replace(one, other).replace(other, b" ", most)


def depth_cut(data: bytes, deepest: int = MAX_DEPTH) -> int:
    """Return where the first level deeper than `deepest` begins, so that the text can be cut there; -1 if none does."""
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
    """Return whether brackets may be nested too deeply; each step reduces the depth by at most one."""
    levels = brackets.translate(BRACES)
    for step in range(COLLAPSES):
        # Closing a level and opening one again does not change the depth.
        levels = levels.replace(b"}{", b"")
        if levels.count(b"{") + step <= deepest:
            return False
        levels = levels.replace(b"{}", b"")
    return max(accumulate(map(LEVELS.__getitem__, levels), initial=0)) + COLLAPSES > deepest


def _masked(data: bytes) -> bytes:
    """Replace escaped backslashes and quotes by as many other bytes: the quotes that are left begin or end strings."""
    return data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data


def _brackets(masked: bytes) -> bytes:
    """Return the brackets outside strings; strings without a bracket, which are nearly all, are removed first."""
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
    """Return whether all strings end and all brackets match, which is most of what a lenient parser requires."""
    masked = _masked(data)
    return masked.count(b'"') % 2 == 0 and _open(_brackets(masked)) == b""


def close(data: bytes, limit: int) -> bytes | None:
    """Close JSON that was cut, at the end of the data or at the limit: one value, or several that follow one another.

    An unfinished key, number or literal is dropped, an unfinished string is ended, and open arrays and objects are
    closed. Numbers and duplicate names stay as they were written.

    Args:
        data: UTF-8, cut anywhere.
        limit: bytes that the result may have.

    Returns:
        Empty if nothing could be kept; None if this is not JSON.
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
    """Return where to begin reading tokens: at a comma or bracket outside strings before the tail, or 0; else None."""
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
    """Return a JSON array of JSON texts, up to the limit; the item that exceeds it is closed."""
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
