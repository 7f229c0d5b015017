r"""Text without a parser: lines of YAML, TOML, INI and headers, code, logs, GraphQL, and nearly valid JSON.

A linear search around the places where the gate fired. A name, what may follow it, and a separator; then a value in
quotes, in brackets, up to the end of the line, or up to what ends a word. What it cannot judge it hides.
"""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import quote_plus

from akto_mirror.capture.payload.leaves import Change
from akto_mirror.capture.redaction import beside, delimiters
from akto_mirror.capture.redaction import separators as marks
from akto_mirror.capture.redaction.gate import MOST_PLACES, Place
from akto_mirror.capture.redaction.look import Look, is_masked, mask, spliced
from akto_mirror.capture.redaction.rules import credentials
from akto_mirror.capture.redaction.rules.escapes import decoded, unquoted
from akto_mirror.capture.redaction.rules.masks import MADE_UP_JWT, MASK

STEPS = 15  # What one place takes.


def walk(data: bytes, places: list[Place], look: Look) -> bytes:
    """Hide what has to be hidden in a text, and leave the rest as it is."""
    search = _Search(data, look)
    for place in places:
        look.hidden.take(STEPS)
        search.at(place)
        if not look.hidden.spend():
            search.rest(place)
            break
    if len(places) == MOST_PLACES:
        search.rest(places[-1])
    return spliced(data, search.changes)


class _Search:
    """Goes through the places of one text. Of its changes within one another the outermost counts."""

    def __init__(self, data: bytes, look: Look) -> None:
        self.changes = list[Change]()
        self._data = data
        self._look = look
        self._done = 0
        self._piece_end = 0
        self._run_end = 0
        self._pairs_end = -1
        self._declared: frozenset[bytes] | None = None

    def rest(self, place: Place) -> None:
        """Hide all that follows a place: there are too many of them."""
        start = max(place.start, self._done)
        if start < len(self._data):
            self._hide(start, len(self._data), "text", MASK)

    def at(self, place: Place) -> None:
        """Hide what has to be hidden at a place, unless it was looked at before."""
        if place.start < self._done:
            return
        data = self._data
        if data[place.start] in b":/" and self._user_info(place.start):
            return
        if data[place.start] in b"bBcmrs" and self._look.names.common and self._credentials(place.start):
            return
        if not (self._base64(place.start) or self._encoded(place.start)):
            self._named(place)

    def _user_info(self, start: int) -> bool:
        found = marks.USER_INFO.match(self._data, start)
        if found and (found[1] or found[3]) and not is_masked(found[2]):
            self._hide(found.start(2), found.end(4), "userinfo", without_user_info(found))
        return found is not None

    def _credentials(self, start: int) -> bool:
        """Hide user and password behind `Basic`, and passwords among the switches of a command."""
        if found := credentials.basic(self._data, start):
            self._hide(*found, "authorization", MASK)
            return True
        passwords = list(credentials.passwords(self._data, start))
        done = self._done
        for span in passwords:
            self._hide(*span, "password", MASK)
        # The text between the switches is still to be searched.
        self._done = done
        return bool(passwords)

    def _base64(self, start: int) -> bool:
        """Look into JSON, XML or a form in base64."""
        data = self._data
        if start < self._run_end:
            return False
        begin = start - marks.RUN.match(data[self._done : start][::-1]).end()  # type: ignore[union-attr]
        found = marks.BASE64.match(data, begin)
        if not found:
            return False
        self._run_end = found.end()
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
        floor = max(0, start - marks.BACK * 8, self._done)
        begin = start - marks.PIECE.match(data[floor:start][::-1]).end()  # type: ignore[union-attr]
        end = self._piece_end = marks.PIECE.match(data, start).end()  # type: ignore[union-attr]
        piece = data[begin:end]
        if not marks.ENCODED.search(piece):
            return False
        text = unquoted(piece)
        if not marks.STRUCTURE.search(text) or text == piece:
            return False
        new = self._look.inner(text)
        if new == text:
            # It may be the name of what follows: user%5Bpassword%5D=…
            return False
        self._change(begin, end, quote_plus(new, safe="/:").encode())
        return True

    def _named(self, place: Place) -> None:
        data = self._data
        floor = max(0, place.start - marks.BACK, self._done)
        begin = place.start - marks.PIECE_NAME.match(data[floor : place.start][::-1]).end()  # type: ignore[union-attr]
        last = max(place.start + 1, min(place.end, place.start + marks.BACK) - 1)
        end = marks.PIECE_NAME.match(data, last, last + marks.BACK).end()  # type: ignore[union-attr]
        name = data[begin:end].rstrip(b"\\")
        end = begin + len(name)
        self._done = max(self._done, end)
        rule = self._look.names.of(marks.unescaped(name))
        if rule and self._may_pass(end):
            self._value(begin, end, rule)

    def _may_pass(self, end: int) -> bool:
        """Charge for the gap after a name, which each expression for a value scans again; return whether it may."""
        gap = marks.BEHIND_NAME.match(self._data, end)[0]  # type: ignore[index]
        return self._look.hidden.take(len(gap) // 8)

    def _value(self, begin: int, end: int, rule: str) -> None:
        data = self._data
        if quoted := marks.AFTER_QUOTED.match(data, end):
            self._after(begin, quoted.end(), rule, quoted[1])
        elif bare := marks.AFTER_BARE.match(data, end):
            self._after(begin, bare.end(), rule, b"")
        elif self._pair(begin, end, rule):
            return
        elif quoted := marks.AFTER_NOTHING.match(data, end):
            self._after(begin, quoted.end(), rule, quoted[1])
        elif call := marks.AFTER_CALL.match(data, end):
            self._after(begin, call.end(), rule, b"")
        elif beside.is_name(data, begin):
            self._beside(begin, end, rule)
        elif data[begin : begin + 1] == b"-" and (switch := marks.AFTER_SWITCH.match(data, end)):
            self._word(switch.end(), rule)
        elif rule in ("bearer", "authorization") and (scheme := marks.AFTER_SCHEME.match(data, end)):
            self._word(scheme.end(), rule)
        elif rule.startswith(marks.SECRETS) and (word := marks.AFTER_WORD.match(data, end)):
            self._sentence(word, rule)

    def _pair(self, begin: int, end: int, rule: str) -> bool:
        """Hide the value of a pair in code or in brackets."""
        data = self._data
        if pair := marks.AFTER_PAIR.match(data, end):
            before = begin - len(pair[1]) - 1
            if data[before : before + 1] in (b"(", b"["):
                self._after(begin, pair.end(), rule, pair[1])
                return True
        elif data[begin - 1 : begin] == b"[" and (item := marks.AFTER_ITEM.match(data, end)):
            value = item[1].rstrip()
            self._hide(item.start(1), item.start(1) + len(value), rule, mask(value))
            return True
        return False

    def _beside(self, begin: int, end: int, rule: str) -> None:
        """Hide the value that a member beside the name of a secret holds."""
        self._look.hidden.take(2 * STEPS)
        if member := beside.value_of(self._data, begin, end):
            done = self._done
            self._after(*member, rule, b"")
            self._done = max(done, self._done)

    def _sentence(self, word: re.Match[bytes], rule: str) -> None:
        """Hide the next word of a sentence, if it is in quotes behind a verb, or not likely a word."""
        if word[0].strip() and (opened := marks.QUOTE.match(self._data, word.end())):
            self._string(opened, rule)
        elif marks.UNLIKELY.match(self._data, word.end()):
            self._word(word.end(), rule)

    def _after(self, begin: int, value: int, rule: str, quote: bytes) -> None:
        data = self._data
        if data[begin - 1 : begin] in marks.OPENS and (line := marks.AFTER_LINE.match(data, value)):
            self._look.hidden.take(len(line[0]) // 64)
            value = line.end()
        if data[begin : begin + 1] == b"$" and (type_ := self._type(begin, value)):
            if not type_[1]:
                self._done = type_.end()
                return
            value = type_.end()
        if data.startswith((MASK, MADE_UP_JWT), value):
            self._done = value + len(MASK)
        elif (variable := marks.VARIABLE.match(data, value)) and self._is_declared(variable[1]):
            self._done = variable.end()
        elif opened := marks.QUOTE.match(data, value):
            self._string(opened, rule)
        elif data[value : value + 1] in (b"{", b"["):
            self._hide(value, delimiters.nested_end(data, value, self._look.hidden), rule, quote + MASK + quote)
        else:
            self._scalar(begin, value, rule, quote)

    def _type(self, begin: int, value: int) -> re.Match[bytes] | None:
        """Return the type of a variable that a GraphQL operation declares."""
        is_declaration = self._data.rfind(b"(", max(0, begin - marks.BACK), begin) >= 0
        return marks.TYPE.match(self._data, value) if is_declaration else None

    def _is_declared(self, name: bytes) -> bool:
        """Return whether a GraphQL operation declares a variable, whose value is hidden then where it stands."""
        variables = self._look.hidden.variables
        if name.decode() in variables:
            return True
        if self._declared is None:
            self._declared = frozenset(marks.DECLARATION.findall(self._data))
        if len(variables) == marks.MOST_VARIABLES or name not in self._declared:
            return False
        variables.add(name.decode())
        return True

    def _string(self, opened: re.Match[bytes], rule: str) -> None:
        data, level, mark, work = self._data, len(opened[1]), opened[2], self._look.hidden
        end, closes = (
            delimiters.triple_end(data, opened, work)
            if len(mark) == 3
            else delimiters.string_end(data, opened.end(), level, mark, work)
        )
        inner = data[opened.end() : end]
        if inner and not is_masked(inner):
            self._hide(opened.end(), end, rule, mask(inner))
        self._done = max(self._done, end + (level + len(mark) if closes else 0))

    def _scalar(self, begin: int, value: int, rule: str, quote: bytes) -> None:
        data = self._data
        line = data.rfind(b"\n", max(0, begin - marks.BACK), begin) + 1 or (0 if begin <= marks.BACK else begin)
        before = data[begin - 1 : begin]
        has_equals = data[value - 1 : value].strip() == b"=" or b"=" in data[max(begin, value - 4) : value]
        if (
            not quote
            and line < begin + 1
            and marks.LINE_BEGINS.fullmatch(data, line, begin)
            and not self._is_of_form(value)
        ):
            self._line(line, begin, value, rule)
        elif quote or data[max(0, begin - marks.BACK) : begin].rstrip(b" \t\"'").endswith(marks.OPENS):
            what = marks.IN_BRACKETS if not has_equals or before == b";" else marks.WORD
            if found := what.match(data, value):
                self._hide(value, value + len(found[0].rstrip()), rule, quote + mask(found[0]) + quote)
        elif before in (b"?", b"&") and (found := marks.IN_ADDRESS.match(data, value)):
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
        word = marks.WORD.match(self._data, value)
        if not word or len(word[0]) >= 16:
            return bool(word)
        return marks.SCHEME.match(self._data, value) is not None or any(map(word[0].__contains__, b"0123456789"))

    def _word(self, value: int, rule: str) -> None:
        data = self._data
        scheme = marks.SCHEME.match(data, value)
        word = marks.WORD.match(data, scheme.end() if scheme else value)
        if word:
            start = word.start()
            self._hide(start, word.end(), rule, mask(word[0]))

    def _line(self, line: int, begin: int, value: int, rule: str) -> None:
        """Hide to the end of the line, and lines behind it that are indented more, as YAML and INI continue them."""
        data = self._data
        column = begin - line - (data[begin - 1 : begin] in (b'"', b"'"))
        end = delimiters.lines_end(data, value, column, self._look.hidden)
        scheme = marks.SCHEME.match(data, value)
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
