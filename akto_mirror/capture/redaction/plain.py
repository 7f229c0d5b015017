r"""Text that is no format: lines of YAML, TOML, INI and headers, code, logs, GraphQL, and what is nearly JSON.

A linear search around the places where the gate fired. A name, what may follow it, and a separator; then a value in
quotes, in brackets, up to the end of the line, or up to what ends a word. What it cannot judge it hides.
"""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import quote_plus, unquote_plus

from akto_mirror.capture.payload.leaves import Change
from akto_mirror.capture.redaction import beside, delimiters
from akto_mirror.capture.redaction.gate import Place
from akto_mirror.capture.redaction.look import MADE_UP_JWT, MASK, Look, is_masked, mask, spliced
from akto_mirror.capture.redaction.rules.escapes import decoded
from akto_mirror.capture.redaction.separators import (
    AFTER_BARE,
    AFTER_CALL,
    AFTER_LINE,
    AFTER_NOTHING,
    AFTER_PAIR,
    AFTER_QUOTED,
    AFTER_SCHEME,
    AFTER_SWITCH,
    AFTER_WORD,
    BACK,
    BASE64,
    ENCODED,
    ESCAPE,
    IN_ADDRESS,
    IN_BRACKETS,
    LINE_BEGINS,
    MOST_LOOKUPS,
    MOST_VARIABLES,
    OPENS,
    PIECE,
    QUOTE,
    SCHEME,
    SECRETS,
    STRUCTURE,
    TYPE,
    UNLIKELY,
    USER_INFO,
    VARIABLE,
    WORD,
)


def walk(data: bytes, places: list[Place], look: Look) -> bytes:
    """Hide what has to be hidden in a text, and leave the rest as it is."""
    search = _Search(data, look)
    for place in places:
        search.at(place)
        if place.end - place.start > BACK * 4 or not look.hidden.spend() or search.is_spent:
            search.rest(place)
            break
    return spliced(data, search.changes)


class _Search:
    """Goes through the places of one text.

    Attributes:
        changes: what to rewrite; of those within one another the outermost counts.
    """

    def __init__(self, data: bytes, look: Look) -> None:
        self.changes = list[Change]()
        self._data = data
        self._look = look
        self._done = 0
        self._piece_end = 0
        self._pairs_end = -1
        self._lookups = MOST_LOOKUPS

    def rest(self, place: Place) -> None:
        """Hide all that follows a place: there are too many of them."""
        start = max(place.start, self._done)
        if start < len(self._data):
            self._hide(start, len(self._data), "text", MASK)

    @property
    def is_spent(self) -> bool:
        """Whether more names were looked at for values beside them than any text has."""
        return self._lookups < 0

    def at(self, place: Place) -> None:
        """Hide what has to be hidden at a place, unless it was looked at before."""
        if place.start < self._done:
            return
        data = self._data
        if data[place.start] in b":/" and self._user_info(place.start):
            return
        if not (self._base64(place.start) or self._encoded(place.start)):
            self._named(place)

    def _user_info(self, start: int) -> bool:
        found = USER_INFO.match(self._data, start)
        if found and (found[1] or found[3]) and not is_masked(found[2]):
            self._hide(found.start(2), found.end(4), "userinfo", without_user_info(found))
        return found is not None

    def _base64(self, start: int) -> bool:
        """Look into JSON or XML in base64."""
        data = self._data
        if data[start] not in b"eWP" or data[start - 1 : start].isalnum():
            return False
        found = BASE64.match(data, start)
        if not found:
            return False
        is_url = b"-" in found[0] or b"_" in found[0]
        text = decoded(found[0])
        if text is None:
            return False
        new = self._look.inner(text)
        if new != text:
            coded = b64encode(new, b"-_" if is_url else b"+/")
            self._change(found.start(), found.end(), coded if found[0].endswith(b"=") else coded.rstrip(b"="))
        self._done = max(self._done, found.end())
        return True

    def _encoded(self, start: int) -> bool:
        """Look into a piece of percent-encoded text in which there is more than a name."""
        data = self._data
        if start < self._piece_end:
            return False
        floor = max(0, start - BACK * 8, self._done)
        begin = start - PIECE.match(data[floor:start][::-1]).end()  # type: ignore[union-attr]
        end = self._piece_end = PIECE.match(data, start).end()  # type: ignore[union-attr]
        piece = data[begin:end]
        if not ENCODED.search(piece):
            return False
        text = unquote_plus(piece.decode("utf-8", "replace")).encode("utf-8", "replace")
        if not STRUCTURE.search(text) or text == piece:
            return False
        new = self._look.inner(text)
        if new == text:
            # It may be the name of what follows: user%5Bpassword%5D=…
            return False
        self._change(begin, end, quote_plus(new, safe="/:").encode())
        return True

    def _named(self, place: Place) -> None:
        data = self._data
        floor = max(0, place.start - BACK, self._done)
        begin = place.start - PIECE_NAME.match(data[floor : place.start][::-1]).end()  # type: ignore[union-attr]
        last = max(place.start + 1, min(place.end, place.start + BACK) - 1)
        end = PIECE_NAME.match(data, last, last + BACK).end()  # type: ignore[union-attr]
        name = data[begin:end].rstrip(b"\\")
        end = begin + len(name)
        self._done = max(self._done, end)
        rule = self._look.names.of(ESCAPE.sub(_character, name).lstrip(b"\\"))
        if rule:
            self._value(begin, end, rule)

    def _value(self, begin: int, end: int, rule: str) -> None:
        data = self._data
        if quoted := AFTER_QUOTED.match(data, end):
            self._after(begin, quoted.end(), rule, quoted[1])
        elif bare := AFTER_BARE.match(data, end):
            self._after(begin, bare.end(), rule, b"")
        elif (pair := AFTER_PAIR.match(data, end)) and data[begin - len(pair[1]) - 1 : begin - len(pair[1])] in (
            b"(",
            b"[",
        ):
            self._after(begin, pair.end(), rule, pair[1])
        elif quoted := AFTER_NOTHING.match(data, end):
            self._after(begin, quoted.end(), rule, quoted[1])
        elif call := AFTER_CALL.match(data, end):
            self._after(begin, call.end(), rule, b"")
        elif beside.is_name(data, begin):
            self._beside(begin, end, rule)
        elif data[begin : begin + 1] == b"-" and (switch := AFTER_SWITCH.match(data, end)):
            self._word(switch.end(), rule)
        elif rule in ("bearer", "authorization") and (scheme := AFTER_SCHEME.match(data, end)):
            self._word(scheme.end(), rule)
        elif rule.startswith(SECRETS) and (word := AFTER_WORD.match(data, end)):
            self._sentence(word, rule)

    def _beside(self, begin: int, end: int, rule: str) -> None:
        """Hide the value that a member beside the name of a secret holds."""
        self._lookups -= 1
        if member := beside.value_of(self._data, begin, end):
            done = self._done
            self._after(*member, rule, b"")
            self._done = max(done, self._done)

    def _sentence(self, word: re.Match[bytes], rule: str) -> None:
        """Hide the next word of a sentence, if it is in quotes behind a verb, or not likely a word."""
        if word[0].strip() and (opened := QUOTE.match(self._data, word.end())):
            self._string(opened, rule)
        elif UNLIKELY.match(self._data, word.end()):
            self._word(word.end(), rule)

    def _after(self, begin: int, value: int, rule: str, quote: bytes) -> None:
        data = self._data
        if data[begin - 1 : begin] in OPENS and (line := AFTER_LINE.match(data, value)):
            value = line.end()
        if data[begin : begin + 1] == b"$" and (type_ := self._type(begin, value)):
            if not type_[1]:
                self._done = type_.end()
                return
            value = type_.end()
        if data.startswith((MASK, MADE_UP_JWT), value):
            self._done = value + len(MASK)
        elif (variable := VARIABLE.match(data, value)) and self._is_declared(variable[1]):
            self._done = variable.end()
        elif opened := QUOTE.match(data, value):
            self._string(opened, rule)
        elif data[value : value + 1] in (b"{", b"["):
            self._hide(value, delimiters.nested_end(data, value), rule, quote + MASK + quote)
        else:
            self._scalar(begin, value, rule, quote)

    def _type(self, begin: int, value: int) -> re.Match[bytes] | None:
        """Return the type of a variable that a GraphQL operation declares."""
        is_declaration = self._data.rfind(b"(", max(0, begin - BACK), begin) >= 0
        return TYPE.match(self._data, value) if is_declaration else None

    def _is_declared(self, name: bytes) -> bool:
        """Return whether a GraphQL operation declares a variable, whose value is hidden then where it stands."""
        variables = self._look.hidden.variables
        if name.decode() in variables:
            return True
        if len(variables) == MOST_VARIABLES or not re.search(rb"\$%s\s*:\s*\[*[A-Z]" % name, self._data):
            return False
        variables.add(name.decode())
        return True

    def _string(self, opened: re.Match[bytes], rule: str) -> None:
        data, level, mark = self._data, len(opened[1]), opened[2]
        end, closes = (
            delimiters.triple_end(data, opened)
            if len(mark) == 3
            else delimiters.string_end(data, opened.end(), level, mark)
        )
        inner = data[opened.end() : end]
        if inner and not is_masked(inner):
            self._hide(opened.end(), end, rule, mask(inner))
        self._done = max(self._done, end + (level + len(mark) if closes else 0))

    def _scalar(self, begin: int, value: int, rule: str, quote: bytes) -> None:
        data = self._data
        line = data.rfind(b"\n", max(0, begin - BACK), begin) + 1 or (0 if begin <= BACK else begin)
        before = data[begin - 1 : begin]
        has_equals = data[value - 1 : value].strip() == b"=" or b"=" in data[max(begin, value - 4) : value]
        if not quote and line < begin + 1 and LINE_BEGINS.fullmatch(data, line, begin) and not self._is_of_form(value):
            self._line(line, begin, value, rule)
        elif quote or data[max(0, begin - BACK) : begin].rstrip(b" \t\"'").endswith(OPENS):
            found = IN_BRACKETS.match(data, value) if not has_equals or before == b";" else WORD.match(data, value)
            if found:
                self._hide(value, value + len(found[0].rstrip()), rule, quote + mask(found[0]) + quote)
        elif before in (b"?", b"&") and (found := IN_ADDRESS.match(data, value)):
            self._hide(value, found.end(), rule, mask(found[0]))
        elif has_equals or self._is_likely(value):
            self._word(value, rule)

    def _is_of_form(self, value: int) -> bool:
        """Return whether a value is followed by another pair of a form on the same line."""
        data = self._data
        if data[value - 1 : value] != b"=":
            return False
        if self._pairs_end < value:
            found = data.find(b"&", value)
            self._pairs_end = found if found >= 0 else len(data)
        return self._pairs_end < len(data) and data.find(b"\n", value, self._pairs_end) < 0

    def _is_likely(self, value: int) -> bool:
        """Return whether a word is a value, not prose: it has a digit, is long, or follows a scheme."""
        data = self._data
        word = WORD.match(data, value)
        if not word:
            return False
        return bool(SCHEME.match(data, value)) or len(word[0]) >= 16 or any(map(word[0].__contains__, b"0123456789"))

    def _word(self, value: int, rule: str) -> None:
        data = self._data
        scheme = SCHEME.match(data, value)
        word = WORD.match(data, scheme.end() if scheme else value)
        if word:
            start = word.start()
            self._hide(start, word.end(), rule, mask(word[0]))

    def _line(self, line: int, begin: int, value: int, rule: str) -> None:
        """Hide to the end of the line, and lines behind it that are indented more, as YAML and INI continue them."""
        data = self._data
        column = begin - line - (data[begin - 1 : begin] in (b'"', b"'"))
        end = delimiters.lines_end(data, value, column)
        scheme = SCHEME.match(data, value)
        start = scheme.end() if scheme and scheme.end() < end else value
        if start < end and not is_masked(data[start:end]):
            self._hide(start, end, rule, mask(data[start:end]))
        self._done = max(self._done, end)

    def _hide(self, start: int, end: int, rule: str, new: bytes) -> None:
        if is_masked(self._data[start:end]):
            self._done = max(self._done, end)
            return
        self._look.hidden.by_name(rule)
        self._change(start, end, new)

    def _change(self, start: int, end: int, new: bytes) -> None:
        self.changes.append(Change(start, end, new))
        self._done = max(self._done, end)


def without_user_info(found: re.Match[bytes]) -> bytes:
    """Return what is written in the place of user and password in an address."""
    return (MASK if found[2] else b"") + found[3] + (MASK if found[3] else b"")


# A name in whatever spelling; brackets are no part of it, as they may open a list.
PIECE_NAME = re.compile(rb"(?:[\w.$%\\-]|[\x80-\xff])*")


def _character(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else int(found[2], 8)
    return bytes((code,)) if code < 0x80 else b"?"
