"""The tokens of JSON, and the position before a cut at which a text can be closed."""

from __future__ import annotations

import re
from enum import Enum, auto

from akto_mirror.capture.payload.charsets import whole_characters

# The most tokens of the tail. Only text that is not JSON has more, or a sequence of values without brackets.
MAX_TOKENS = 4_096

CLOSERS = bytes.maketrans(b"[{", b"]}")
LITERALS = frozenset({b"true", b"false", b"null"})

# Other values that Akto's runtime accepts; `HALF_VALUE` is the beginning of one.
ODD = (b"NaN", b"Infinity", b"-Infinity")
VALUE = re.compile(rb"-?[0-9][-+.0-9eE]*|'[^']*'")
# A name without double quotes; anything else in its place, such as `password=x`, is not JSON.
BARE_KEY = re.compile(rb"[\w$.\x80-\xff-]+|'[^'=<>]*'?")
HALF_VALUE = re.compile(rb"-?(?:[0-9][-+.0-9eE]*)?|'[^']*'?")

# JSON text sequences (RFC 7464) begin each value with the record separator.
BLANK = rb"[ \t\r\n\x1e]"
STRING = rb'[^"\\]*(?:\\.[^"\\]*)*'
SCALAR = rb'[^\]\[{}:,"\s\x1e]+'
TOKEN = re.compile(
    BLANK + rb"*(?:(?P<mark>[\[{\]},:])"
    rb'|"(?P<string>' + STRING + rb')(?:(?P<quote>")|\\)?|(?P<scalar>' + SCALAR + rb"))",
    re.DOTALL,
)
WHOLE_ESCAPES = re.compile(rb'[^"\\]*(?:\\(?:u[0-9A-Fa-f]{4}|[^u])[^"\\]*)*', re.DOTALL)
HIGH_SURROGATE = re.compile(rb"(\\*)\\u[dD][89abAB][0-9A-Fa-f]{2}\Z")


class _Expects(Enum):
    VALUE = auto()
    MEMBER_VALUE = auto()
    KEY = auto()
    COLON = auto()
    NEXT = auto()


class Tail:
    """Reads the last tokens, and notes the last position at which the text can be closed within the limit."""

    def __init__(self, head: bytes, limit: int, start: int, stack: bytes) -> None:
        self._head = head
        self._limit = limit
        self._position = start
        self._stack = bytearray(stack)
        self._expects = _Expects.VALUE
        self._kept, self._ending, self._open = 0, b"", b""
        if start and head[start] == ord(","):
            self._expects = _Expects.NEXT
            self._note(start)

    def closed(self) -> bytes | None:
        """Return the closed text; None if the tokens are not JSON."""
        for _ in range(MAX_TOKENS):
            token = TOKEN.match(self._head, self._position)
            if token is None:
                rest = self._head[self._position :].strip(b" \t\r\n\x1e")
                return None if rest else self._result()
            self._position = token.end()
            if not self._take(token):
                return None
        return None

    def _result(self) -> bytes:
        return self._head[: self._kept] + self._ending + self._open[::-1].translate(CLOSERS)

    def _note(self, end: int, ending: bytes = b"") -> None:
        if end + len(ending) + len(self._stack) <= self._limit:
            self._kept, self._ending, self._open = end, ending, bytes(self._stack)

    def _take(self, token: re.Match[bytes]) -> bool:
        if mark := token["mark"]:
            return self._take_mark(mark)
        if self._expects is _Expects.KEY:
            self._expects = _Expects.COLON
            return token["scalar"] is None or BARE_KEY.fullmatch(token["scalar"]) is not None
        if not self._takes_value():
            return False
        return self._take_scalar(token) if token["scalar"] else self._take_string(token)

    def _take_mark(self, mark: bytes) -> bool:
        if mark in b"[{":
            return self._take_open(mark)
        if mark in b"]}":
            return self._take_close(mark)
        if mark == b",":
            return self._take_comma()
        expected, self._expects = self._expects, _Expects.MEMBER_VALUE
        return expected is _Expects.COLON

    def _takes_value(self) -> bool:
        """Return whether a value may follow; at the top level, several may follow one another."""
        if self._expects is _Expects.NEXT:
            return not self._stack
        return self._expects in (_Expects.VALUE, _Expects.MEMBER_VALUE)

    def _take_open(self, bracket: bytes) -> bool:
        if not self._takes_value():
            return False
        self._stack += bracket
        self._expects = self._inside()
        self._note(self._position)
        return True

    def _inside(self) -> _Expects:
        return _Expects.KEY if self._stack[-1] == ord("{") else _Expects.VALUE

    def _take_close(self, bracket: bytes) -> bool:
        if not self._stack or self._expects in (_Expects.COLON, _Expects.MEMBER_VALUE):
            return False
        if CLOSERS[self._stack.pop()] != ord(bracket):
            return False
        return self._complete()

    def _take_comma(self) -> bool:
        if self._expects is not _Expects.NEXT or not self._stack:
            return False
        self._expects = self._inside()
        return True

    def _take_scalar(self, token: re.Match[bytes]) -> bool:
        """Keep a number or literal, unless it touches the end of the data, where it may be incomplete."""
        text = token["scalar"]
        if token.end() < len(self._head) or text in LITERALS:
            return self._complete() and (text in LITERALS or text in ODD or VALUE.fullmatch(text) is not None)
        self._expects = _Expects.NEXT
        return HALF_VALUE.fullmatch(text) is not None or any(word.startswith(text) for word in (*LITERALS, *ODD))

    def _take_string(self, token: re.Match[bytes]) -> bool:
        """Keep a whole string or, if it is truncated or too long, as much of it as fits."""
        if not token["quote"] or token.end() + len(self._stack) > self._limit:
            begin = token.start("string")
            room = self._limit - len(self._stack) - 1
            if room >= begin:
                self._note(_string_cut(self._head, begin, min(token.end("string"), room)), b'"')
        return self._complete() if token["quote"] else True

    def _complete(self) -> bool:
        self._expects = _Expects.NEXT
        self._note(self._position)
        return True


def _string_cut(data: bytes, begin: int, end: int) -> int:
    """Return the last position up to `end` at which neither an escape nor a character of a string is cut."""
    whole = WHOLE_ESCAPES.match(data, begin, max(begin, whole_characters(data, end)))
    end = whole.end() if whole else begin
    half = HIGH_SURROGATE.search(data, max(begin, end - 6), end)
    if half is None:
        return end
    before = len(data[begin : end - 6]) - len(data[begin : end - 6].rstrip(b"\\"))
    return end if before % 2 else end - 6
