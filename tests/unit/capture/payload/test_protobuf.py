"""Shortened messages are still valid, as read by real protobuf."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import protobuf
from akto_mirror.capture.payload.leaves import Place
from tests.support.notes import Note
from tests.support.texts import path

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
INT32 = st.integers(-(2**31), 2**31 - 1)


def _note(**fields: Any) -> Any:
    return Note(**fields)


# Unambiguous texts and numbers. A text of control characters or of a few bytes, and a message whose only tag and length
# are letters, can be read in two ways.
FLAT = {
    "text": TEXTS,
    "many": st.lists(TEXTS, max_size=5),
    "number": st.integers(-(2**63), 2**63 - 1),
    "numbers": st.lists(INT32, max_size=40),
    "ratio": st.floats(allow_nan=False),
    "late": st.integers(0, 2**32 - 1),
}
notes = st.recursive(
    st.builds(_note, **FLAT), lambda inner: st.builds(_note, **FLAT, inner=inner, notes=st.lists(inner, max_size=3))
)


def kept(message: Any, room: int) -> Any:
    """Shorten a message and read the result."""
    data = protobuf.shorten(message.SerializeToString(), room)
    assert len(data) <= room
    return Note.FromString(data)


@pytest.mark.parametrize("character", ["x", "A", "b", "z", "é", "€", "\n", "text of a log\n", "ab"])
def test_one_long_string(character: str) -> None:
    """As much of a long string as fits is kept, whatever its characters."""
    text = character * 300_000
    short = kept(Note(number=7, text=text), 1_000)
    assert text.startswith(short.text)
    assert len(short.text.encode()) > 980
    assert short.number in {0, 7}


def test_many_fields() -> None:
    """As many fields as fit are kept, in order, and the last is shortened."""
    many = [f"item number {number}" for number in range(30_000)]
    short = kept(Note(text="first", many=many), 5_000)
    assert short.text == "first"
    assert list(short.many)[:-1] == many[: len(short.many) - 1]
    assert many[len(short.many) - 1].startswith(short.many[-1])
    assert short.ByteSize() > 4_980


@pytest.mark.parametrize("depth", [1, 2, 5, 9])
def test_nested_messages_stay_whole(depth: int) -> None:
    """Nested messages stay valid, with rewritten lengths."""
    message = Note(number=5, text="x" * 300_000)
    for level in range(depth):
        message = Note(text=f"level {level}", inner=message)
    short = kept(message, 2_000)
    for level in reversed(range(depth)):
        assert short.text == f"level {level}"
        short = short.inner
    assert len(short.text) > 1_800


def test_nested_messages_of_lines() -> None:
    """Fields whose tags and lengths are printable are not taken for text."""
    lines = [f"{number:06} a line of a log, of some forty characters" for number in range(5_000)]
    short = kept(Note(inner=Note(lines=lines)), 3_000)
    assert list(short.inner.lines)[:-1] == lines[: len(short.inner.lines) - 1]
    assert len(short.inner.lines) > 50


def test_packed_numbers_stay_whole() -> None:
    """No packed number is cut in two."""
    short = kept(Note(numbers=range(100_000, 200_000)), 1_001)
    assert list(short.numbers) == list(range(100_000, 100_000 + len(short.numbers)))
    assert len(short.numbers) > 320
    short = kept(Note(ratios=[-1.5] * 10_000), 1_001)
    assert set(short.ratios) == {-1.5}
    assert len(short.ratios) > 120


def test_bytes_are_cut_anywhere() -> None:
    """Bytes, such as an image, can be cut anywhere."""
    blob = bytes(range(256)) * 100
    assert blob.startswith(kept(Note(blob=blob), 1_000).blob)


@given(notes, st.data())
def test_any_message_at_any_cut(message: Any, data: st.DataObject) -> None:
    """Real protobuf reads any shortened or cut message, and no field is longer than before."""
    whole = message.SerializeToString()
    cut = data.draw(st.integers(0, len(whole)))
    room = data.draw(st.integers(0, len(whole) + 2))
    short = protobuf.shorten(whole[:cut], room)
    assert len(short) <= min(room, cut)
    assert Note.FromString(short).ByteSize() <= len(whole)
    if cut == len(whole) <= room:
        assert short == whole


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes(data: bytes, room: int) -> None:
    """Any bytes are shortened without an error, and the result is not longer."""
    assert len(protobuf.shorten(data, room)) <= room
    assert protobuf.rewrite(data, lambda _, text: text) == data


@given(notes)
def test_strings_are_rewritten(message: Any) -> None:
    """Strings are replaced with rewritten lengths; an unchanged message is returned as it is."""
    whole = message.SerializeToString()
    assert protobuf.rewrite(whole, lambda _, text: text) == whole
    seen = list[tuple[tuple[str, ...], bytes]]()

    def hide(place: Place, text: bytes) -> bytes:
        seen.append((path(place), text))
        return b"[hidden]" if text == b"hunter2" else text

    secret = Note(text="hunter2", many=["a", "hunter2"], inner=Note(text="hunter2", number=4), notes=[message])
    found = Note.FromString(protobuf.rewrite(secret.SerializeToString(), hide))
    assert found == Note(
        text="[hidden]", many=["a", "[hidden]"], inner=Note(text="[hidden]", number=4), notes=found.notes
    )
    assert (("3", "1"), b"hunter2") in seen


def test_the_work_is_linear() -> None:
    """Numbers, tiny strings and nested messages cost no more than other messages."""
    nested = b""
    for _ in range(20_000):
        nested = b"\x0a" + protobuf.varint(len(nested)) + nested
        nested = nested if len(nested) < 200_000 else nested[:200_000]
    start = time.thread_time()
    for data in (
        b"\x08\x01" * 250_000,
        b"\x0a\x00" * 250_000,
        b"\x0a\x01x" * 150_000,
        nested,
        b"\xff" * 500_000,
        b"\n" * 500_000,
    ):
        protobuf.shorten(data, 100_000)
        protobuf.rewrite(data, lambda _, text: text)
    assert time.thread_time() - start < 15
