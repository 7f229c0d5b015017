"""JSON: hides values by their keys, and by sibling names (`{"name": "token", "value": …}`).

One pass over the tokens, which are members, elements and brackets. Only strings in which the gate fired are looked
into. Several values that follow one another are read as well, and so is a text that was cut.
"""

from __future__ import annotations

import re
from itertools import islice

from akto_mirror.capture.payload import json
from akto_mirror.capture.payload.json_tokens import BLANK, SCALAR, STRING
from akto_mirror.capture.payload.leaves import Change, splice
from akto_mirror.capture.redaction import tables
from akto_mirror.capture.redaction.gate import MOST_PLACES, Place
from akto_mirror.capture.redaction.json_leap import IS_NAME, JSON_MASK, Leap, looked_into, rule_of
from akto_mirror.capture.redaction.look import Look, mask, spliced
from akto_mirror.capture.redaction.rules.naming import holds, is_value, names_another
from akto_mirror.capture.redaction.separators import SCHEME
from akto_mirror.capture.redaction.tables import Frame

# Before a token, outside all groups, there may be numbers, literals, commas and blanks.
ITEM = re.compile(
    rb'[^"\[\]{}]*(?:"(' + STRING + rb')("|\\)?(?:' + BLANK + rb"*(:)" + BLANK + rb"*(?:([\[{])"
    rb'|"(' + STRING + rb')("|\\)?|(' + SCALAR + rb"))?)?|([\[{])|([\]}])|\Z)",
    re.DOTALL,
)
KEY, KEY_END, COLON, MEMBER_OPEN, TEXT, TEXT_END, MEMBER_SCALAR, OPEN, CLOSE = range(1, 10)


# A member that is a kind, not a name: `{"type": "password", "value": …}`.
KIND = b"type"

RECORD_MARK = b"\x1e"

# What may precede a first member or element, which needs no comma.
OPENING = (b"[", b"{", b",", b":", b"")

# Values in the columns of secrets that are hidden one by one; an array that has more is hidden as a whole.
MOST_CELLS = 2_500
# Bytes that are read as rows, of nested tables repeatedly; rows beyond that are hidden as a whole.
MOST_OF_TABLES = 65_536
# Members, elements and brackets that are read one by one; what follows is hidden.
MOST_ITEMS = 8_000


def is_readable(data: bytes) -> bool:
    """Return whether a text is JSON, one or several values, whole or cut, which `walk` reads as a parser would."""
    if json.is_json(data):
        return True
    lines = [line for line in data.replace(RECORD_MARK, b"\n").splitlines() if line.strip()]
    if len(lines) > 1 and all(map(json.is_json, lines[:-1])):
        return json.is_json(lines[-1]) or _is_cut(lines[-1])
    return _is_cut(data)


def _is_cut(data: bytes) -> bool:
    if sum(map(data.count, (b"[", b"{"))) - sum(map(data.count, (b"]", b"}"))) > json.MAX_DEPTH:
        return False
    closed = json.close(data, len(data) + json.TAIL)
    return bool(closed) and json.is_json(closed or b"")


def walk(data: bytes, places: list[Place], look: Look) -> bytes:
    """Hide what has to be hidden in JSON, and leave the rest as it is."""
    if places[-1].end < len(data):
        changes = Leap(data, places, look).changes()
        if changes is not None:
            return splice(data, changes)
    return spliced(data, _Walk(data, places, look).changes())


class _Walk:
    """The pass over one text."""

    def __init__(self, data: bytes, places: list[Place], look: Look) -> None:
        self._data = data
        self._look = look
        self._changes = list[Change]()
        self._frame = Frame(is_array=False)
        self._stack = list[Frame]()
        self._starts = [place.start for place in places]
        # The last of very many places reaches to the end.
        self._read_to = self._starts[-1] if len(places) == MOST_PLACES else len(data)
        self._hidden_from, self._depth = -1, 0
        self._left = MOST_OF_TABLES
        self._open = set[int]()

    def changes(self) -> list[Change]:
        """Read the text, and return what to rewrite in it."""
        starts, count, number = self._starts, len(self._starts), 0
        for left, item in zip(range(MOST_ITEMS, -1, -1), ITEM.finditer(self._data), strict=False):
            kind = item.lastindex
            if kind is None:
                self._armed_scalar(item)
                break
            end = item.end()
            self._look.hidden.take()
            if not left or end > self._read_to or self._look.hidden.is_spent:
                self._cut(item.start())
                return self._changes
            if self._hidden_from >= 0:
                self._pass_over(item, kind)
                continue
            if kind == CLOSE:
                self._armed_scalar(item)
                self._close(end)
                continue
            while number < count and starts[number] < item.start(kind if kind == OPEN else KEY):
                number += 1
            self._take(item, kind, hit=number < count and starts[number] < end)
        if self._hidden_from >= 0:
            self._changes.append(Change(self._hidden_from, len(self._data), JSON_MASK))
        while self._stack:
            self._close(len(self._data))
        return self._changes

    def _cut(self, position: int) -> None:
        """Hide what follows, and what its names may belong to, and close what is open."""
        data, is_passed_over = self._data, self._hidden_from >= 0
        start, frames = self._kept(self._hidden_from if is_passed_over else position)
        self._stack, self._frame, self._open = frames[:-1], frames[-1], {frame.start for frame in frames[1:]}
        for frame in frames:
            self._changes += (Change(*span, JSON_MASK) for span in frame.unnamed(data))
        while self._stack:
            self._close(start)
        self._close(start)
        before = data[:start].rstrip()[-1:]
        is_member = len(frames) > 1 and not frames[-1].is_array and not is_passed_over and before != b":"
        closed = b"".join(b"]" if frame.is_array else b"}" for frame in frames[:0:-1])
        comma = b"" if before in OPENING else b"," if len(frames) > 1 else b"\n"
        text = comma + (JSON_MASK + b":") * is_member + JSON_MASK + closed
        self._look.hidden.by_name("text")
        self._changes.append(Change(start, len(data), text))

    def _kept(self, position: int) -> tuple[int, list[Frame]]:
        """Return where to begin hiding, and what is open there: before what is open and may be a value or a row."""
        frames = [*self._stack, self._frame]
        for number, frame in enumerate(frames):
            outer, inner = frames[max(0, number - 1)], frames[number + 1 : number + 2]
            if frame.opened >= 0:
                return frame.opened, frames[: number + 1]
            begin = frame.rows_begin(inner[0] if inner else None, is_known=bool(frame.table or outer.table))
            if begin >= 0:
                return begin, frames[: number + 1]
        return position, frames

    def _take(self, item: re.Match[bytes], kind: int, *, hit: bool) -> None:
        if kind == OPEN:
            self._element(item)
            if self._hidden_from < 0:
                self._push(item.start(OPEN))
        elif kind <= KEY_END:
            self._string(item, hit=hit)
        else:
            self._member(item, kind, hit=hit)

    def _member(self, item: re.Match[bytes], kind: int, *, hit: bool) -> None:
        key = item[KEY]
        start = item.start(MEMBER_OPEN if kind == MEMBER_OPEN else MEMBER_SCALAR if kind == MEMBER_SCALAR else TEXT)
        if kind in (TEXT, TEXT_END):
            start -= 1
        rule = rule_of(key, self._look) if hit else None
        if rule and kind != COLON:
            self._hide(item, kind, start, rule)
            return
        frame = self._frame
        if kind == MEMBER_OPEN:
            frame.opened, frame.opened_value = start if holds(key) else -1, is_value(key)
            self._push(start)
            return
        if kind != COLON and holds(key):
            frame.values.append((start, item.end(), is_value(key)))
        if hit and kind in (TEXT, TEXT_END):
            is_kind = key.lower() == KIND
            if (is_kind or names_another(key)) and (named := self._named(item[TEXT])):
                frame.is_kind = is_kind and (frame.is_kind or frame.rule is None)
                frame.rule = named
            self._into(item[TEXT], start, item.end(), ends=kind == TEXT_END)

    def _hide(self, item: re.Match[bytes], kind: int, start: int, rule: str) -> None:
        self._look.hidden.by_name(rule)
        if kind == MEMBER_OPEN:
            self._hidden_from, self._depth = start, 1
            return
        new = b'"' + mask(item[TEXT]) + b'"' if kind in (TEXT, TEXT_END) else JSON_MASK
        self._changes.append(Change(start, item.end(), new))

    def _named(self, raw: bytes) -> str | None:
        """Return the rule of a string that is the name of a secret."""
        return rule_of(raw, self._look) if IS_NAME.fullmatch(raw) else None

    def _string(self, item: re.Match[bytes], *, hit: bool) -> None:
        """Take an element of an array, or a value by itself."""
        frame, start = self._frame, item.start(KEY) - 1
        ends = item[KEY_END] == b'"'
        end = item.end(KEY_END) if ends else item.end(KEY)
        rule = self._named(item[KEY]) if hit and frame.is_array else None
        if rule and not SCHEME.match(item[KEY]):
            frame.name(frame.count, rule)
        if self._element(item):
            return
        if hit:
            if rule and frame.count % 2 == 1:
                frame.rule, frame.armed = rule, item.end()
            self._into(item[KEY], start, end, ends=ends)

    def _element(self, item: re.Match[bytes]) -> bool:
        """Count an element, and hide it if the one before it named a secret."""
        frame = self._frame
        frame.count += 1
        if self._armed_scalar(item) or frame.armed < 0:
            return False
        frame.armed = -1
        self._look.hidden.by_name(frame.rule or "")
        if item.lastindex == OPEN:
            self._hidden_from, self._depth = item.start(OPEN), 1
        else:
            self._changes.append(Change(item.start(KEY) - 1, item.end(), b'"' + mask(item[KEY]) + b'"'))
        return True

    def _armed_scalar(self, item: re.Match[bytes]) -> bool:
        """Hide a number or literal that stands behind the name of a secret in an array."""
        frame = self._frame
        if frame.armed < 0:
            return False
        first = next((item.start(group) - (group == KEY) for group in (KEY, OPEN, CLOSE) if item[group] is not None), 0)
        between = self._data[frame.armed : first or item.end()]
        scalar = between.strip(b", \t\r\n").split(b",")[0].strip()
        if scalar:
            start = frame.armed + between.find(scalar)
            self._changes.append(Change(start, start + len(scalar), JSON_MASK))
            self._look.hidden.by_name(frame.rule or "")
            frame.armed = -1
        return bool(scalar)

    def _into(self, raw: bytes, start: int, end: int, *, ends: bool) -> None:
        if (new := looked_into(raw, self._look, ends=ends)) is not None:
            self._changes.append(Change(start, end, new))

    def _push(self, start: int) -> None:
        self._stack.append(self._frame)
        self._frame = Frame(is_array=self._data[start] == ord("["), start=start)

    def _close(self, end: int) -> None:
        frame = self._frame
        if frame.rule and not frame.is_array:
            for start, stop, is_said in frame.values:
                if is_said or not frame.is_kind:
                    self._look.hidden.by_name(frame.rule)
                    self._changes.append(Change(start, stop, JSON_MASK))
        if frame.table:
            self._rows(frame)
        if not self._stack:
            return
        self._frame = self._stack.pop()
        self._columns(frame, end)
        if self._frame.opened >= 0:
            self._frame.values.append((self._frame.opened, end, self._frame.opened_value))
            self._frame.opened = -1

    def _columns(self, inner: Frame, end: int) -> None:
        """Note what an array or object says of the table around it: its columns, or where its rows are."""
        outer = self._frame
        if not inner.is_array:
            # {"name": "token", "type": "string"}
            if outer.is_array and inner.rule and not inner.is_kind and not any(value[2] for value in inner.values):
                outer.name(outer.count - 1, inner.rule)
            return
        outer.arrays.append((inner.start, end))
        if inner.columns and (not outer.is_array or (outer.count == 1 and not inner.is_pair)):
            outer.table = outer.table or {}
            outer.table.update(inner.columns)

    def _rows(self, frame: Frame) -> None:
        """Hide what stands in the columns of secrets: in rows below a row of names, or in a list beside one."""
        if frame.is_array and len(frame.arrays) == 1:
            return
        rows = [(frame.start, frame.arrays[-1][1])] if frame.is_array else frame.arrays
        behind = frame.arrays[1][0] if frame.is_array else 0
        for start, end in rows:
            self._left -= end - start
            cells = tables.rows(self._data, start, end, behind, frame.table or {}) if self._left >= 0 else None
            found = list(islice(cells, MOST_CELLS)) if cells else []
            if cells is None or len(found) == MOST_CELLS:
                found = self._whole(start, end, behind)
            for cell_start, cell_end, rule in found:
                self._look.hidden.by_name(rule)
                self._changes.append(Change(cell_start, cell_end, JSON_MASK))

    def _whole(self, start: int, end: int, behind: int) -> list[tuple[int, int, str]]:
        """Return where all rows are, without the brackets around them if those are not closed."""
        if start in self._open and start >= behind:
            end = start + len(self._data[start:end].rstrip(b", \t\r\n"))
            start += 1
        start = max(start, behind)
        return [(start, end, "text")] if start < end else []

    def _pass_over(self, item: re.Match[bytes], kind: int) -> None:
        """Go on within an object or array that is hidden as a whole."""
        if kind in (OPEN, MEMBER_OPEN):
            self._depth += 1
        elif kind == CLOSE:
            self._depth -= 1
            if self._depth == 0:
                self._changes.append(Change(self._hidden_from, item.end(), JSON_MASK))
                self._hidden_from = -1
