"""Parses XML into values, without expanding entities (pure, bounded)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from akto_mirror.ingestion.entries.shapes import MAX_DEPTH, MAX_NAME_CHARS, Text, Typed

MAX_TAGS = 500
MAX_TEXT_CHARS = 256

ATTRIBUTE = re.compile(r"""(?<![\w:.-])([\w:.-]+)\s*=\s*("[^"]*"|'[^']*')""")
OTHERS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))

Element = dict[str, Any]


def read_xml(text: str) -> Element:
    """Return a document as an object: elements as `/name`, attributes as `@name`, other text as `#`.

    A repeated element becomes a list. Only tags are parsed: no entity is expanded, and the document may be truncated.
    """
    root: Element = {}
    open_: list[tuple[str, Element]] = [("", root)]
    content = 0
    for start, end in islice(_tags(text), MAX_TAGS):
        tag = text[start + 1 : end]
        if tag[:1] == "/":
            _leave(open_, text[content:start].strip()[:MAX_TEXT_CHARS])
        else:
            _enter(open_, tag)
        content = end + 1
    while len(open_) > 1:
        _leave(open_, "")
    return root


def _enter(open_: list[tuple[str, Element]], tag: str) -> None:
    words = tag.rstrip("/").split(None, 1)
    if not words or tag[0].isspace():
        return
    found = ATTRIBUTE.finditer(words[1][:2_000]) if len(words) > 1 else iter(())
    attributes = ((hit[1][:MAX_NAME_CHARS], hit[2][1:-1]) for hit in islice(found, 20))
    element: Element = {f"@{name}": Text(value) for name, value in attributes if not name.startswith("xmlns")}
    open_.append((words[0][:MAX_NAME_CHARS], element))
    if tag.endswith("/") or len(open_) > MAX_DEPTH * 2:
        _leave(open_, "")


def _leave(open_: list[tuple[str, Element]], text: str) -> None:
    """Add the innermost element to its parent; without attributes and children, it becomes its text."""
    if len(open_) == 1:
        return
    name, element = open_.pop()
    value: Any = element
    if not element:
        value = Text(text) if text else Typed(0)
    elif text and not any(key[0] == "/" for key in element):
        element["#"] = Text(text)
    around = open_[-1][1]
    key = f"/{name}"
    if key not in around:
        around[key] = value
    elif isinstance(around[key], list):
        around[key].append(value)
    else:
        around[key] = [around[key], value]


def _tags(text: str) -> Iterator[tuple[int, int]]:
    """Yield tags, without comments, CDATA, declarations and instructions, up to the first unclosed one."""
    position = text.find("<")
    while position >= 0:
        closing = next((last for first, last in OTHERS if text.startswith(first, position)), ">")
        end = text.find(closing, position)
        if end < 0:
            return
        if text[position + 1 : position + 2] not in ("!", "?"):
            yield position, end
        position = text.find("<", end + len(closing))
