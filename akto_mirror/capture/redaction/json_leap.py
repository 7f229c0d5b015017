"""Reads JSON only around the places that the gate has found, and skips the text in between, which is fast."""

from __future__ import annotations

import re
from json import JSONDecoder

from akto_mirror.capture.payload.json_leaves import quoted, text_of
from akto_mirror.capture.payload.json_tokens import BLANK, SCALAR
from akto_mirror.capture.payload.leaves import Change
from akto_mirror.capture.redaction.gate import Place
from akto_mirror.capture.redaction.look import Look, mask
from akto_mirror.capture.redaction.rules.masks import MASK

AFTER_KEY = re.compile(BLANK + rb"*:" + BLANK + rb"*")
VALUE = re.compile(SCALAR)
# How much of a text is given to the parser that finds the end of an object or array; most are short.
WINDOWS = (512, 8_192)
_end_of = JSONDecoder(strict=False).raw_decode

# What has to be in a string for a secret to be in it: a separator, an escape, or base64.
MAY_HOLD = re.compile(
    rb"[:=<{\[%&\\;,@ ]|(?:e[yw]|W[3yw]|P[C-H])[A-Za-z0-9+/_-]{10}"
    rb"|\A(?=[^0-9]*[0-9])(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9+/_-]{12}"
)

IS_NAME = re.compile(rb"[\w.$:/\[\]%\\-]{1,128}(?: [\w-]{1,32}){0,2}")

JSON_MASK = b'"%s"' % MASK


class Leap:
    """Goes from place to place by counting quotes, for which escaped ones are masked; what lies between is not read."""

    def __init__(self, data: bytes, places: list[Place], look: Look) -> None:
        self._data = data
        self._masked = data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data
        self._places = places
        self._look = look
        self._changes = list[Change]()
        self._done = 0

    def changes(self) -> list[Change] | None:
        """Return what to rewrite; None if names stand beside their values, so that all has to be read."""
        masked, position, inside = self._masked, 0, 0
        for place in self._places:
            if place.start < self._done:
                continue
            position = max(position, self._done)
            inside = (0 if position == self._done else inside) ^ masked.count(b'"', position, place.start) & 1
            position = place.start
            if inside and not self._string(masked.rfind(b'"', self._done, position), masked.find(b'"', position)):
                return None
        return self._changes

    def _string(self, start: int, end: int) -> bool:
        """Take the string around a place; False if it names what stands beside it."""
        data, look, stop = self._data, self._look, end if end >= 0 else len(self._data)
        raw = data[start + 1 : stop]
        self._done = min(stop + 1, len(data))
        colon = AFTER_KEY.match(data, stop + 1)
        if not colon:
            if IS_NAME.fullmatch(raw) and rule_of(raw, look):
                return False
            if (new := looked_into(raw, look, ends=end >= 0)) is not None:
                self._changes.append(Change(start, self._done, new))
        elif rule := rule_of(raw, look):
            self._done = self._value_end(colon.end())
            if self._done > colon.end():
                look.hidden.by_name(rule)
                self._changes.append(Change(colon.end(), self._done, shown(data[colon.end() : self._done])))
        return True

    def _value_end(self, start: int) -> int:
        first = self._data[start : start + 1]
        if first == b'"':
            end = self._masked.find(b'"', start + 1)
            return end + 1 if end >= 0 else len(self._data)
        if first not in (b"{", b"["):
            scalar = VALUE.match(self._data, start)
            return scalar.end() if scalar else start
        return container_end(self._data, start)


def container_end(data: bytes, start: int) -> int:
    """Return where an object or array ends: at the end of the text if it was cut, or has too many levels."""
    for size in (*WINDOWS, len(data)):
        # One character a byte, as what was decoded before may not be UTF-8.
        text = data[start : start + size].decode("latin-1")
        try:
            _, end = _end_of(text)
        except (ValueError, RecursionError):
            continue
        return start + end
    return len(data)


def shown(value: bytes) -> bytes:
    """Return what is written in the place of a value."""
    return b'"' + mask(value[1:].removesuffix(b'"')) + b'"' if value.startswith(b'"') else JSON_MASK


def rule_of(raw: bytes, look: Look) -> str | None:
    """Return the rule by which a string, as it is written, names a secret."""
    return look.names.of_text(text_of(b'"' + raw + b'"')) if b"\\" in raw else look.names.of(raw)


def looked_into(raw: bytes, look: Look, *, ends: bool) -> bytes | None:
    """Look into a string in which something may have to be hidden; return what to write in its place if there is."""
    if not MAY_HOLD.search(raw):
        return None
    text = text_of(b'"' + raw + b'"').encode("utf-8", "replace") if b"\\" in raw else raw
    new = look.inner(text)
    if new == text:
        return None
    written = quoted(new.decode("utf-8", "replace"))
    return written if ends else written[:-1]
