"""XML and HTML: hides elements and attributes by their names, and by sibling names as in property lists.

Read tag by tag around the places where the gate fired, without a parser: well-formed or not, cut or escaped.
"""

from __future__ import annotations

import html
import re
from itertools import islice

from akto_mirror.capture.payload.leaves import Change
from akto_mirror.capture.redaction.gate import MOST_PLACES, Place
from akto_mirror.capture.redaction.look import Look, mask, spliced
from akto_mirror.capture.redaction.rules.naming import holds, is_value, names_another

# No character is tried twice, however a tag breaks off.
TAG = re.compile(rb"""<(/?)([A-Za-z_][^\s/>"'<=]*)(?![^\s/>"'<=])([^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*)>""")
ATTRIBUTE = re.compile(rb"""(?<![^\s=/"'<>])([^\s=/"'<>]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+))""")
VALUES = (2, 3, 4)

# What is passed over as a whole in search of an end tag.
OPAQUE = ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"))

# Attributes and elements that name what stands beside them, and attributes that hold it.
NAMING = frozenset(b"name key id property field param parameter header type itemprop fieldname n k".split())
HOLDING = frozenset(b"value content default data-value val v placeholder".split())
NAME_TAGS = frozenset(
    b"name key n k field fieldname id param parameter header property th td dt label string variable".split()
)
VOID = frozenset(b"input meta img link br hr base col embed source track wbr".split())

# What a tag and each of its attributes take.
STEPS = 2
# References in a run of text that are resolved; a run with more is hidden.
MOST_REFERENCES = 2_500
# Tags and comments that are looked at in search of end tags; behind them, all is hidden.
MOST_MARKS = 10_000
# Attributes of a tag that are read one by one; those behind them are hidden.
MOST_ATTRIBUTES = 500

# Elements beside one that are looked at, and how far away they are.
MOST_SIBLINGS = 3
REACH = 512
COMMENTS = re.compile(rb"(?:\s+(?!\s)|<!--[^<>]{0,256}-->)*")
ENDS_BEFORE = re.compile(rb"</([A-Za-z_][^\s/>\"'<=]*)\s*>\s*\Z")

IS_NAME = re.compile(rb"[\w.$:/\[\]%\\ -]{1,128}")
# Python's own function takes a call for each reference.
REFERENCES = {b"&lt;": b"<", b"&gt;": b">", b"&quot;": b'"', b"&#x27;": b"'", b"&#39;": b"'"}
AMPERSAND = b"&amp;"
OTHER_REFERENCE = re.compile(rb"&(?!amp;)")
NAME_ENDS = tuple(b"%c" % byte for byte in b" \t\n\r\f\v/>")
WITHIN_TAG = re.compile(rb"[^<>]*")
MAY_BE = re.compile(rb"<[A-Za-z_!?/]|&lt;")


def may_be(data: bytes) -> bool:
    """Return whether a text may have tags."""
    return MAY_BE.search(data) is not None


def walk(data: bytes, places: list[Place], look: Look) -> bytes:
    """Hide what has to be hidden between and in tags, and leave the rest as it is."""
    walk_ = _Walk(data, look)
    for place in places:
        if look.hidden.is_spent:
            walk_.rest(place.start)
            break
        walk_.at(place.start)
    if len(places) == MOST_PLACES:
        walk_.rest(places[-1].start)
    return spliced(data, walk_.changes)


class _Walk:
    """Goes through the places of one text.

    Attributes:
        changes: what to rewrite; of those within one another the outermost counts.
    """

    def __init__(self, data: bytes, look: Look) -> None:
        self.changes = list[Change]()
        self._data = data
        self._look = look
        self._done = 0
        self._broken = -1
        self._nexts = dict[bytes, int]()
        self._marks = MOST_MARKS

    def rest(self, place: int) -> None:
        """Hide everything from the tag that a place is in: there are too many places."""
        start = max(self._done, self._data.rfind(b"<", self._done, place + 1))
        if start < len(self._data):
            self.changes.append(Change(start, len(self._data), self._look.hidden.unread()))

    def at(self, place: int) -> None:
        """Hide what has to be hidden at a place, unless it was looked at before."""
        if place < self._done:
            return
        if section := self._section(place):
            self._leaf(*section, is_escaped=False)
            return
        data, less = self._data, self._data.rfind(b"<", self._done, place + 1)
        tag = TAG.match(data, less) if less >= 0 and less != self._broken else None
        if tag and tag.end() > place:
            self._done = tag.end()
            if not tag[1]:
                self._start_tag(tag)
            return
        if tag is None:
            self._broken = less
        self._text(max(tag.end() if tag else less + 1, self._done), place)

    def _section(self, place: int) -> tuple[int, int] | None:
        """Return the content of the comment or the section of character data that a place is in, if it ends."""
        data, found = self._data, list[tuple[int, int]]()
        for begin, finish in OPAQUE:
            opened = data.rfind(begin, self._done, place)
            if opened >= 0 and data.find(finish, opened, place) < 0:
                end = self._next(finish, place)
                if end < len(data):
                    found.append((opened + len(begin), end))
        return min(found, default=None)

    def _next(self, mark: bytes, place: int) -> int:
        """Return where a mark stands next, the text's end if nowhere; each stretch of the text is searched once."""
        if self._nexts.get(mark, -1) < place:
            found = self._data.find(mark, place)
            self._nexts[mark] = found if found >= 0 else len(self._data)
        return self._nexts[mark]

    def _text(self, start: int, place: int) -> None:
        """Look into the run of text that a place is in."""
        data = self._data
        end = data.find(b"<", place)
        end = end if end >= 0 else len(data)
        self._leaf(start, end, is_escaped=True)
        self._beside(start, end)

    def _leaf(self, start: int, end: int, *, is_escaped: bool) -> None:
        self._done = max(end, self._done)
        raw = self._data[start:end]
        if is_escaped and b"&" in raw:
            others = raw.count(b"&") - sum(map(raw.count, (AMPERSAND, *REFERENCES)))
            if not self._look.hidden.take(2 * others) or others > MOST_REFERENCES:
                self._hide(start, end, "text")
                return
        text = unescaped(raw) if is_escaped else raw
        new = self._look.inner(text)
        if new != text:
            self.changes.append(Change(start, end, escaped(new) if is_escaped and b"&" in raw else new))

    def _beside(self, start: int, end: int) -> None:
        """Hide the element beside one whose text is the name of a secret."""
        data, name = self._data, self._data[start:end].strip()
        ending = TAG.match(data, end)
        if not ending or not ending[1] or not _is_naming(ending[2]) or not IS_NAME.fullmatch(name):
            return
        rule = self._look.names.of(unescaped(name))
        if not rule:
            return
        following = self._siblings(ending.end())
        value = next((tag for tag in following if holds(short(tag[2]))), None)
        if value := value or self._before(start) or next(iter(following), None):
            self._hide_content(value, rule)

    def _siblings(self, position: int) -> list[re.Match[bytes]]:
        """Return the tags of the next elements beside one that ends here, as far as the first that holds a value."""
        data, found = self._data, list[re.Match[bytes]]()
        while len(found) < MOST_SIBLINGS:
            less = data.find(b"<", COMMENTS.match(data, position, position + REACH).end(), position + REACH)  # type: ignore[union-attr]
            tag = TAG.match(data, less) if less >= 0 else None
            if tag is None or tag[1]:
                break
            found.append(tag)
            ending = data.find(b"</" + tag[2] + b">", tag.end(), tag.end() + REACH)
            if ending < 0 or holds(short(tag[2])):
                break
            position = ending + len(tag[2]) + 3
        return found

    def _before(self, start: int) -> re.Match[bytes] | None:
        """Return the tag of an element that holds a value right before the one whose text begins here."""
        data = self._data
        less = data.rfind(b"<", max(0, start - REACH), start)
        ending = ENDS_BEFORE.search(data, max(0, less - REACH), max(0, less))
        if not ending or not is_value(short(ending[1])):
            return None
        opened = data.rfind(b"<" + ending[1], max(0, ending.start() - REACH), ending.start())
        return TAG.match(data, opened) if opened >= 0 else None

    def _start_tag(self, tag: re.Match[bytes]) -> None:
        rule = self._look.names.of(tag[2])
        named = self._attributes(tag)
        rule = rule or named
        if rule and not tag[3].endswith(b"/") and local(tag[2]) not in VOID:
            self._hide_content(tag, rule)

    def _attributes(self, tag: re.Match[bytes]) -> str | None:
        """Hide attributes by their names, and by one that names the element; return that one's rule."""
        found = list(islice(ATTRIBUTE.finditer(self._data, tag.start(3), tag.end(3)), MOST_ATTRIBUTES + 1))
        self._look.hidden.take(STEPS * (2 + len(found)))
        named: str | None = None
        for each in found:
            value = _value(each)
            if (local(each[1]) in NAMING or names_another(short(each[1]))) and IS_NAME.fullmatch(value):
                named = named or self._look.names.of(unescaped(value))
        for number, each in enumerate(found):
            if self._look.hidden.is_spent or number == MOST_ATTRIBUTES:
                self.changes.append(Change(each.start(), tag.end(3), self._look.hidden.unread()))
                return named or "text"
            name, value = local(each[1]), _value(each)
            rule = named if named and (name in HOLDING or holds(short(each[1]))) else self._look.names.of(each[1])
            if rule:
                self._hide(each.start(each.lastindex or 0), each.end(each.lastindex or 0), rule)
            elif name not in NAMING:
                text = unescaped(value)
                new = self._look.inner(text)
                if new != text:
                    group = each.lastindex or 0
                    self.changes.append(Change(each.start(group), each.end(group), escaped(new, quote=True)))
        return named

    def _hide_content(self, tag: re.Match[bytes], rule: str) -> None:
        """Hide all that stands in an element; to the end of the text if it has no end tag."""
        if tag[3].endswith(b"/"):
            self._done = tag.end()
            return
        start, end = tag.end(), self._end_of(tag)
        if start < end:
            self._hide(start, end, rule)
        self._done = max(end, start)

    def _end_of(self, tag: re.Match[bytes]) -> int:
        """Return where the end tag begins, passing over elements of the same name, comments and character data."""
        data, position, depth, closing = self._data, tag.end(), 1, -1
        while self._marks > 0:
            if closing < position:
                closing = self._tag(b"</" + tag[2], position, len(data))
            if closing == len(data):
                break
            opaque, finish = min((self._next(begin, position), finish) for begin, finish in OPAQUE)
            depth += self._opened(b"<" + tag[2], position, min(closing, opaque))
            if opaque < closing:
                end = self._next(finish, opaque)
                position = end if end < len(data) else opaque + 1
                self._marks -= 1
                continue
            depth -= 1
            if depth == 0:
                return closing
            position = closing + 1
        return len(data)

    def _tag(self, begin: bytes, position: int, end: int) -> int:
        """Return where a tag with a whole name begins between two positions, the second if none does."""
        while self._marks > 0 and (position := self._data.find(begin, position, end)) >= 0:
            self._marks -= 1
            if self._data[position + len(begin) : position + len(begin) + 1] in NAME_ENDS:
                return position
            position += len(begin)
        return end

    def _opened(self, begin: bytes, position: int, end: int) -> int:
        """Count the tags between two positions that begin an element and do not end it."""
        count = 0
        while (position := self._tag(begin, position, end)) < end:
            position += len(begin)
            count += not WITHIN_TAG.match(self._data, position)[0].endswith(b"/")  # type: ignore[index]
        return count

    def _hide(self, start: int, end: int, rule: str) -> None:
        self._look.hidden.by_name(rule)
        self.changes.append(Change(start, end, mask(self._data[start:end])))


def _value(attribute: re.Match[bytes]) -> bytes:
    return attribute[attribute.lastindex or 0]


def short(name: bytes) -> bytes:
    """Return the name of an element or attribute without its namespace."""
    return name.rpartition(b":")[2]


def _is_naming(name: bytes) -> bool:
    return local(name) in NAME_TAGS or names_another(short(name))


def local(name: bytes) -> bytes:
    """Return the name of an element or attribute in lower case and without its namespace."""
    return short(name).lower()


def unescaped(raw: bytes) -> bytes:
    """Return a text with its references resolved."""
    if b"&" not in raw:
        return raw
    for reference, character in REFERENCES.items():
        raw = raw.replace(reference, character)
    if OTHER_REFERENCE.search(raw):
        return html.unescape(raw.decode("utf-8", "replace")).encode("utf-8", "replace")
    return raw.replace(AMPERSAND, b"&")


def escaped(text: bytes, *, quote: bool = False) -> bytes:
    """Return a text as it is written between tags, or in an attribute."""
    return html.escape(text.decode("utf-8", "replace"), quote=quote).encode()
