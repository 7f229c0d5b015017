"""XML: closes the open elements of truncated text, and drops an incomplete tag.

The text is read by the standard library's expat. A document with a DOCTYPE is refused, because entities could expand
without bound, and Akto's runtime does not read it either. A DOCTYPE whose entities are not used is removed first.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple
from xml.parsers import expat

from akto_mirror.capture.payload.charsets import whole_characters
from akto_mirror.capture.payload.leaves import ROOT, Leaf, Place

MAX_DEPTH = 500

# Bytes at the end in which tags are recorded at first; end tags seldom need more room.
SLACK = 4_096

# expat's errors for a document that is truncated but otherwise well-formed.
CUT = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
UNCLOSED = expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN]

# The DOCTYPE and what may precede it. If brackets or comments in it could hide its end, there is no match.
DOCTYPE = re.compile(
    rb"""((?:[ \t\r\n]|<\?[^>]*\?>|<!--[^>]*-->)*)"""
    rb"""<!DOCTYPE[ \t\r\n][^<>\[\]"']*(?:(?:"[^"]*"|'[^']*')[^<>\[\]"']*)*(?:\[[^\[\]]*\][ \t\r\n]*)?>"""
)
PROLOG = 2_048

TAG = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")
ATTRIBUTE = re.compile(rb"""[ \t\r\n]([^ \t\r\n=]+)[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)')""")


class _Kind(Enum):
    START = auto()
    END = auto()
    EMPTY = auto()
    COMMENT = auto()
    INSTRUCTION = auto()
    CDATA = auto()
    CDATA_END = auto()


class _Mark(NamedTuple):
    """Markup that begins at a position; between two marks there is only text."""

    at: int
    kind: _Kind
    name: str = ""

    def end(self, data: bytes) -> int:
        """Return where the markup ends; for a CDATA section, where its opening delimiter ends."""
        if self.kind in (_Kind.START, _Kind.END, _Kind.EMPTY):
            tag = TAG.match(data, self.at)
            return tag.end() if tag else len(data)
        if self.kind is _Kind.CDATA:
            return self.at + len(b"<![CDATA[")
        if self.kind is _Kind.CDATA_END:
            return self.at + len(b"]]>")
        begin, end = ENDS[self.kind]
        found = data.find(end, self.at + len(begin))
        return len(data) if found < 0 else found + len(end)


ENDS = {_Kind.COMMENT: (b"<!--", b"-->"), _Kind.INSTRUCTION: (b"<?", b"?>")}


class _Refused(Exception):  # noqa: N818 - ends expat's parse and goes no further
    """The document must not be read further."""


class _Outline:
    """The markup of a document, as far as it goes.

    Args:
        data: the document.
        region: the position from which tags are recorded; before it only open elements are, which is much faster.

    Attributes:
        marks: the recorded markup, in order.
        open: names of the elements that are open at the end.
        end: where the last whole token ends.
        complete: whether the document is complete.
        root: where the root begins; -1 if there is none.
        region: as above.
    """

    def __init__(self, data: bytes, region: int = 0) -> None:
        self.marks: list[_Mark] = []
        self.open: list[str] = []
        self.end = len(data)
        self.complete = False
        self.root = -1
        self.region = region
        self._data = data
        self._too_deep = False
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.CommentHandler = lambda _: self._mark(_Kind.COMMENT)
        parser.ProcessingInstructionHandler = lambda *_: self._mark(_Kind.INSTRUCTION)
        parser.StartCdataSectionHandler = lambda: self._mark(_Kind.CDATA)
        parser.EndCdataSectionHandler = lambda: self._mark(_Kind.CDATA_END)
        parser.StartDoctypeDeclHandler = self._refuse

    def read(self) -> bool:
        """Parse; return False if this is not XML, even if truncated, or has a DOCTYPE."""
        try:
            self._parse()
        except expat.ExpatError as error:
            if error.code == UNCLOSED:
                self.end = self._parser.ErrorByteIndex
            return error.code in CUT
        except _Refused:
            return self._too_deep
        self.complete = True
        return True

    def _parse(self) -> None:
        parser, names = self._parser, self.open
        push, pop = names.append, names.pop

        def root(name: str, _attributes: dict[str, str]) -> None:
            self.root = parser.CurrentByteIndex
            push(name)
            parser.StartElementHandler = start

        def start(name: str, _attributes: dict[str, str]) -> None:
            push(name)
            if len(names) > MAX_DEPTH:
                self._refuse_depth()

        parser.StartElementHandler = root
        parser.EndElementHandler = lambda _: pop()
        parser.Parse(self._data[: self.region], False)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.Parse(self._data[self.region :], True)

    def in_cdata(self) -> bool:
        """Return whether the last mark opens a CDATA section."""
        return bool(self.marks) and self.marks[-1].kind is _Kind.CDATA

    def begin(self) -> int:
        """Return where the text after the last mark begins, but no position before `region`."""
        return max(self.marks[-1].end(self._data) if self.marks else 0, self.region)

    def undo(self) -> None:
        """Remove the last mark, and the text after it."""
        mark = self.marks.pop()
        self.end = mark.at
        if mark.kind is _Kind.START:
            self.open.pop()
        elif mark.kind is _Kind.END:
            self.open.append(mark.name)

    def _mark(self, kind: _Kind, name: str = "") -> None:
        self.marks.append(_Mark(self._parser.CurrentByteIndex, kind, name))

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self.root = self._parser.CurrentByteIndex if self.root < 0 else self.root
        self.open.append(name)
        if len(self.open) > MAX_DEPTH:
            self._refuse_depth()
        self._mark(_Kind.START, name)

    def _end(self, name: str) -> None:
        self.open.pop()
        if self._is_empty(at := self._parser.CurrentByteIndex):
            self.marks[-1] = self.marks[-1]._replace(kind=_Kind.EMPTY)
        else:
            self.marks.append(_Mark(at, _Kind.END, name))

    def _is_empty(self, at: int) -> bool:
        """Return whether an element consists of one empty-element tag; expat reports its end after that tag."""
        if not self._data.endswith(b"/>", 0, at) or not self.marks or self.marks[-1].kind is not _Kind.START:
            return False
        return self.marks[-1].end(self._data) == at

    def _refuse(self, *_: object) -> None:
        raise _Refused

    def _refuse_depth(self) -> None:
        self.open.pop()
        self.end, self._too_deep = self._parser.CurrentByteIndex, True
        raise _Refused


def close(data: bytes, limit: int) -> bytes | None:
    """Close XML that was cut, at the end of the data or at the limit.

    Args:
        data: UTF-8, cut anywhere.
        limit: bytes that the result may have.

    Returns:
        Empty if not even the root fits; None if the text up to the cut is not well-formed, or has a DOCTYPE.
    """
    head = data[: whole_characters(data, min(limit, len(data)))]
    for region in (max(0, len(head) - SLACK), 0):
        outline = _Outline(head, region)
        if not outline.read():
            return None
        if outline.complete:
            return head
        closed = _fitted(head, outline, limit)
        if closed is not None:
            return closed
    return b""


def without_doctype(data: bytes) -> bytes:
    """Remove the document type declaration; a document that uses its entities is not well-formed without it."""
    found = DOCTYPE.match(data) if b"<!DOCTYPE" in data[:PROLOG] else None
    return found[1] + data[found.end() :] if found else data


def readable(data: bytes) -> bytes:
    """Return a whole document without its document type declaration, if that leaves it well-formed."""
    plain = without_doctype(data)
    if plain is data:
        return data
    outline = _Outline(plain, len(plain))
    return plain if outline.read() and outline.complete else data


def _fitted(head: bytes, outline: _Outline, limit: int) -> bytes | None:
    """Step back from the end until the end tags fit; None if that is before the first mark in the region."""
    ending = sum(map(_size, outline.open))
    while 0 <= outline.root < outline.end:
        room = min(limit - ending - (len(b"]]>") if outline.in_cdata() else 0), outline.end)
        begin = outline.begin()
        if room >= begin:
            return _ended(head, _text_cut(head, begin, room, outline), outline)
        if not outline.marks or outline.marks[-1].at < outline.region:
            return None
        before, last = len(outline.open), outline.marks[-1].name
        outline.undo()
        ending += _size(last) * (len(outline.open) - before)
    return b""


def _size(name: str) -> int:
    return len(name.encode()) + len(b"</>")


def _text_cut(head: bytes, begin: int, end: int, outline: _Outline) -> int:
    """Return the last position up to `end` at which neither a character nor a reference of the text is cut."""
    end = max(begin, whole_characters(head, end))
    if outline.in_cdata():
        return end
    reference = head.rfind(b"&", begin, end)
    return reference if reference >= 0 and b";" not in head[reference:end] else end


def _ended(head: bytes, end: int, outline: _Outline) -> bytes:
    tags = "".join(f"</{name}>" for name in reversed(outline.open)).encode()
    return head[:end] + (b"]]>" if outline.in_cdata() else b"") + tags


def leaves(data: bytes) -> list[Leaf]:
    """Return attribute values and runs of text in order, with their places.

    Spans cover the text as it is written, with its references, but of a CDATA section only the content.

    Raises:
        ValueError: the document is not well-formed to its end, or has a DOCTYPE.
    """
    outline = _Outline(data)
    if not outline.read() or not outline.complete:
        raise ValueError("not well-formed XML without a DOCTYPE")
    found, place, holder, stack = list[Leaf](), ROOT, 0, list[tuple[Place, int]]()
    for mark, following in zip(outline.marks, [*outline.marks[1:], None], strict=True):
        end = mark.end(data)
        if mark.kind is _Kind.START:
            stack.append((place, holder))
            place, holder = Place(mark.name, place), mark.at
            found += _attributes(data, mark.at, end, place)
        elif mark.kind is _Kind.END:
            place, holder = stack.pop()
        elif mark.kind is _Kind.EMPTY:
            found += _attributes(data, mark.at, end, Place(mark.name, place))
        if following and end < following.at and data[end : following.at].strip():
            found.append(Leaf(end, following.at, place, holder))
    return found


def _attributes(data: bytes, start: int, end: int, element: Place) -> list[Leaf]:
    """Return the values of a start tag's attributes."""
    found = list[Leaf]()
    for attribute in ATTRIBUTE.finditer(data, start, end):
        value = 2 if attribute[2] is not None else 3
        place = Place(attribute[1].decode("utf-8", "replace"), element)
        found.append(Leaf(attribute.start(value), attribute.end(value), place, start))
    return found
