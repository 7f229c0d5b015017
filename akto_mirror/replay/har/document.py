"""Splits a HAR file of any size into its entries, each as its own JSON.

JSON parsers either hold the whole document or stop at the first error. Here only brackets and strings are tracked, in
pieces, and each entry is parsed separately, so that an entry with a huge number, invalid UTF-8 or a thousand levels
affects no other. Memory is bounded by the longest entry.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator

Read = Callable[[int], bytes]

CHUNK = 256 * 1024

# The most levels of one entry that are tracked; parsers accept far fewer.
DEEPEST = 50_000

# The text between two brackets, including whole strings. Repeats are bounded, so that matching needs no memory.
BETWEEN = re.compile(rb'(?:[^"{}\[\]]+|"[^"\\]*(?:\\.[^"\\]*){0,50}"){0,1000}', re.DOTALL)
IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,1000}', re.DOTALL)
KEY = re.compile(rb'"([^"\\]{0,16})"\s*:\s*$')

CLOSING = {ord("{"): ord("}"), ord("["): ord("]")}
OBJECT, LIST = ord("{"), ord("[")

# The path of the entries: the list `entries` of the object `log`.
PATH = ((OBJECT, b""), (OBJECT, b"log"), (LIST, b"entries"))


class DocumentError(ValueError):
    """A document is damaged or not a HAR file; the text says so."""


def utf8(read: Read, head: bytes) -> Read:
    """Return a reader that converts the text to UTF-8, without a byte order mark.

    Args:
        read: reads bytes in any of JSON's encodings, from the beginning.
        head: the first four bytes, which show the encoding (RFC 4627, section 3).
    """
    encoding = json.detect_encoding(head)
    if encoding == "utf-8":
        return read
    decoder = codecs.getincrementaldecoder(encoding)("replace")

    def converted(size: int) -> bytes:
        while data := read(size):
            if text := decoder.decode(data):
                return text.encode("utf-8", "replace")
        return b""

    return converted


def elements(read: Read, longest: int | None = None) -> Iterator[bytes]:
    """Yield the JSON of each entry.

    Args:
        read: reads at most this many bytes, in UTF-8; none at the end.
        longest: the most bytes of an entry; None for no limit.

    Raises:
        DocumentError: the document is truncated, damaged or not a HAR file; the entries before that were yielded.
    """
    return _Walk(read, longest).elements()


class _Walk:
    """Tracks the brackets of a document."""

    def __init__(self, read: Read, longest: int | None) -> None:
        self._read = read
        self._longest = longest
        self._buffer = bytearray()
        self._at = 0
        self._open = bytearray()
        self._path = 0
        self._key = b""
        self._found = False
        self._count = 0

    def elements(self) -> Iterator[bytes]:
        """Yield the entries."""
        while (bracket := self._bracket()) is not None:
            if self._is_inside():
                yield from self._scalars()
            if bracket not in CLOSING:
                self._close(bracket)
                continue
            if self._is_inside():
                self._count += 1
                yield self._element()
                continue
            self._enter(bracket)
        self._check_end()

    def _is_inside(self) -> bool:
        """Return whether this is the list of the entries itself."""
        return self._path == len(PATH) == len(self._open)

    def _bracket(self) -> int | None:
        """Go to the next bracket outside strings, and return it; the text before it stays in the buffer."""
        while True:
            found = BETWEEN.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at == len(self._buffer):
                self._forget_all_but_the_last()
                if not self._more():
                    return None
            elif self._buffer[self._at] == ord('"'):
                self._string()
            elif self._buffer[self._at] in b"{}[]":
                return self._buffer[self._at]

    def _forget_all_but_the_last(self) -> None:
        """Outside the list of entries, keep only the end of the buffer, which may contain a key."""
        if not self._is_inside() and self._at > CHUNK:
            del self._buffer[: self._at - 64]
            self._at = 64

    def _string(self) -> None:
        """Skip a string that is long, or not yet completely in the buffer."""
        self._at += 1
        while True:
            found = IN_STRING.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._buffer) and self._buffer[self._at] == ord('"'):
                self._at += 1
                return
            is_cut = self._at >= len(self._buffer) - 1  # A backslash may be the last byte so far.
            if is_cut and not self._more():
                raise self._broken()

    def _element(self) -> bytes:
        """Return the entry that starts at the next bracket."""
        self._drop()
        depth, bracket = bytearray(), self._bracket()
        while bracket is not None:
            self._at += 1
            if bracket in CLOSING:
                depth.append(CLOSING[bracket])
                if len(depth) > DEEPEST:
                    raise DocumentError(f"entry {self._count} is nested too deeply")
            elif depth.pop() != bracket:
                raise self._broken()
            if not depth:
                return self._taken()
            bracket = self._bracket()
        raise self._broken()

    def _taken(self) -> bytes:
        whole = bytes(memoryview(self._buffer)[: self._at])
        self._drop()
        return whole

    def _drop(self) -> None:
        del self._buffer[: self._at]
        self._at = 0

    def _scalars(self) -> Iterator[bytes]:
        """Yield values in the list of entries that are neither objects nor lists, and so are not entries."""
        between = bytes(memoryview(self._buffer)[: self._at])
        self._drop()
        for each in between.split(b","):
            if each.strip():
                self._count += 1
                yield each

    def _enter(self, bracket: int) -> None:
        found = KEY.search(self._buffer, max(0, self._at - 64), self._at)
        key = found[1] if found else b""
        if self._path == len(self._open) and self._path < len(PATH) and PATH[self._path] == (bracket, bytes(key)):
            self._path += 1
            self._found = self._found or self._path == len(PATH)
        self._open.append(CLOSING[bracket])
        self._at += 1
        self._drop()

    def _close(self, bracket: int) -> None:
        if not self._open or self._open.pop() != bracket:
            raise self._broken()
        self._path = min(self._path, len(self._open))
        self._at += 1
        self._drop()

    def _more(self) -> bool:
        data = self._read(CHUNK)
        self._buffer += data
        if self._longest is not None and len(self._buffer) > self._longest + CHUNK:
            raise DocumentError(f"entry {self._count} is over {self._longest >> 20} MiB")
        return bool(data)

    def _check_end(self) -> None:
        if self._open:
            raise self._broken()
        if not self._found:
            raise DocumentError("JSON, but not a HAR file: it has no list log.entries")

    def _broken(self) -> DocumentError:
        where = f"it breaks off or is damaged after entry {self._count}" if self._count else "it breaks off"
        return DocumentError(f"not a whole HAR file: {where}; export it again")
