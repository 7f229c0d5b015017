"""Entries of a HAR file are read one by one, as a parser of the whole file would read them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.replay.har import document
from akto_mirror.replay.har.document import DocumentError

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(['"', "\\", '\\"', "]}", '{"a":[']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=4)


def read(content: bytes, size: int = 10**9) -> list[bytes]:
    """Return the entries of a document that is read in pieces of this size."""
    file = io.BytesIO(content)
    return list(document.elements(lambda _: file.read(size)))


@given(
    entries=st.lists(objects | values.filter(lambda value: not isinstance(value, str)), max_size=5),
    around=st.tuples(values, values),
    size=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_entries_are_those_of_the_parser(
    entries: list[Any], around: tuple[Any, Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    """Any list with any values around it, in pieces of any size, gives the same entries."""
    before, after = around
    log = {"pages": before, "entries": entries, "comment": after}
    whole = json.dumps({"other": before, "log": log, "more": after}, indent=indent, ensure_ascii=ascii_only)
    assert [json.loads(each) for each in read(whole.encode(), size)] == entries


@given(entries=st.lists(objects, max_size=5), cut=st.floats(0, 1, exclude_max=True), size=st.integers(1, 40))
def test_a_cut_document_gives_its_whole_entries(entries: list[Any], cut: float, size: int) -> None:
    """Whole entries before the cut are read, and then an error is raised."""
    whole = json.dumps({"log": {"entries": entries}}).encode()
    file, found = io.BytesIO(whole[: int(len(whole) * cut)]), []
    with pytest.raises(DocumentError):  # noqa: PT012 - the entries before it are looked at
        for each in document.elements(lambda _: file.read(size)):
            found.append(json.loads(each))  # noqa: PERF401 - it ends in an error
    assert found == entries[: len(found)]


def test_long_strings_are_followed() -> None:
    """Strings with thousands of quotes and backslashes are read, in pieces of any size."""
    text = '"\\' * 3000
    whole = json.dumps({"log": {"pages": [text], "entries": [{"a": text}, {"b": text}]}}).encode()
    for size in (1, 7, 4096, 10**6):
        assert [json.loads(each) for each in read(whole, size)] == [{"a": text}, {"b": text}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"log":{"entries":{}}}', "no list log.entries"),
        (b'{"log":[{"entries":[1]}]}', "no list log.entries"),
        (b'{"entries":[1]}', "no list log.entries"),
        (b'{"log":{"pages":{"entries":[1]}}}', "no list log.entries"),
        (b'{"a":"\\"log\\":{\\"entries\\":[1]"}', "no list log.entries"),
        (b'{"log":{"entries":[{}]}', "breaks off or is damaged after entry 1"),
        (b'{"log":{"entries":[{}}}', "breaks off or is damaged after entry 1"),
        (b'{"log":{"entries":[{"a":[}]}}', "breaks off or is damaged after entry 1"),
        (b'{"log', "it breaks off"),
        (b"]", "it breaks off"),
        (b'{"log":{"entries":[' + b"[" * 60_000, "entry 1 is nested too deeply"),
    ],
)
def test_what_is_not_a_har_file_is_named(content: bytes, message: str) -> None:
    """Other documents and damaged ones have an error that says so."""
    with pytest.raises(DocumentError, match=message):
        read(content)


def test_what_is_not_an_entry_keeps_its_number() -> None:
    """Scalars in the list are returned too, so that entries keep their numbers."""
    found = read(b'{"log":{"entries":[null, {"a":1}, 7 ,[2], true]}}')
    assert [json.loads(each) for each in found] == [None, {"a": 1}, 7, [2], True]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_all_encodings_of_json(encoding: str) -> None:
    """With and without a byte order mark, and with characters that are split between pieces."""
    content = json.dumps({"log": {"entries": [{"a": "é😀"}]}}, ensure_ascii=False).encode(encoding)
    file = io.BytesIO(content)
    pieces = document.utf8(lambda _: file.read(3), content[:4])
    assert [json.loads(each) for each in document.elements(pieces)] == [{"a": "é😀"}]


def test_memory_is_that_of_one_entry() -> None:
    """Neither many entries nor long values around them are kept in memory."""
    longest = 0
    walk = document._Walk(Endless().read, None)
    for _ in walk.elements():
        longest = max(longest, len(walk._buffer))
    assert longest < 3 * document.CHUNK


class Endless:
    """A document of 50 MB, with long white space, a long list beside the entries, and many entries."""

    def __init__(self) -> None:
        self._pieces = [b'{"log":{"pages":[', *[b" " * 1000] * 10_000, *[b"[1],"] * 50_000, b'0],"entries":[{}']
        self._pieces += [b',{"a":"' + b"x" * 1000 + b'"}'] * 20_000 + [b"]}}"]
        self._pieces.reverse()

    def read(self, size: int) -> bytes:
        """Return the next pieces, up to this size."""
        found = bytearray()
        while self._pieces and len(found) + len(self._pieces[-1]) <= size:
            found += self._pieces.pop()
        return bytes(found)
