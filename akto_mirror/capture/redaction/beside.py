"""Sibling names and values in text without a parser: `- name: TOKEN` followed by `value: x`, or in braces."""

from __future__ import annotations

import re

from akto_mirror.capture.redaction.rules.naming import holds, names_another

# How far from a name its value is looked for.
REACH = 256

# Words one after another, with a separator behind those that name a member.
MEMBER = re.compile(rb"([\w-]+)([\"']?[ \t]*[:=][ \t]*)?")
MEMBER_ENDS = re.compile(rb"(?<![\w-])([\w-]+)[\"']?[ \t]*[:=][ \t]*[\"']?\Z")
# Where another item begins, forwards and backwards.
ITEM_ENDS = re.compile(rb"[})]|\r?\n[ \t]*(?:\r?\n|-[ \t])")
ITEM_BEGINS = re.compile(rb"[{(]|\n[ \t]*(?:\r?\n|-(?=[ \t]))")


def is_name(data: bytes, begin: int) -> bool:
    """Return whether what begins here is the value of a member that names another."""
    # A cheap test first: few names follow a colon or an equals sign.
    before = data[max(0, begin - 64) : begin].rstrip(b" \t\"'")
    if not before.endswith((b":", b"=")):
        return False
    member = MEMBER_ENDS.search(before)
    return member is not None and names_another(member[1])


def value_of(data: bytes, begin: int, end: int) -> tuple[int, int] | None:
    """Return where the member begins that holds the value of a name, and where its value does; None if none does.

    Args:
        data: the text.
        begin: where the name begins.
        end: one past its last byte.
    """
    stop = ITEM_ENDS.search(data, end, end + REACH)
    found = _holding(data, end, stop.start() if stop else end + REACH)
    if found:
        return found[0]
    floor = max(0, begin - REACH)
    first = max((item.end() for item in ITEM_BEGINS.finditer(data, floor, begin)), default=floor)
    found = _holding(data, first, begin)
    return found[-1] if found else None


def _holding(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    members = MEMBER.finditer(data, start, end)
    return [(member.start(), member.end()) for member in members if member[2] and holds(member[1])]
