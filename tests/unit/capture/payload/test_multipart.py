"""Cut multipart bodies are closed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import multipart
from tests.support.texts import form, read_multipart

TYPE = "multipart/form-data; boundary=XbX"


def close(data: bytes, limit: int) -> bytes:
    """Close a body, which must be a multipart."""
    closed = multipart.close(data, b"XbX", limit)
    assert closed is not None
    return closed


def test_the_last_content_is_cut() -> None:
    """The last part is cut, and followed by the closing delimiter."""
    whole = form([("a", b"1"), ("f", b"A" * 100)])
    closed = close(whole, len(whole) - 50)
    assert len(closed) == len(whole) - 50
    assert closed.endswith(b"A\r\n--XbX--\r\n")
    assert read_multipart(closed, TYPE) == [("a", b"1"), ("f", b"A" * 50)]


def test_a_part_whose_headers_are_cut_is_dropped() -> None:
    """A part with cut headers is dropped, and the parts before it stay whole."""
    whole = form([("a", b"1"), ("f", b"A" * 100)])
    assert read_multipart(close(whole[: whole.index(b'name="f"')], 200), TYPE) == [("a", b"1")]


def test_what_comes_behind_the_end_is_left_out() -> None:
    """Text after the closing delimiter is left out."""
    whole = form([("a", b"1")])
    assert close(whole + b"epilogue" * 50, len(whole) + 20) == whole


@pytest.mark.parametrize("inner", [b"YY", b"bXb", b'Y "Y'])
def test_a_multipart_in_a_part_is_closed_too(inner: bytes) -> None:
    """Nested multiparts (RFC 7578, section 4.3) are closed too; one of which no part fits is dropped."""
    quoted = inner.replace(b'"', b'\\"')
    head = b'--XbX\r\nContent-Disposition: form-data; name="n"\r\nContent-Type: multipart/mixed; boundary="%b"\r\n\r\n'
    files = form([("f", b"A" * 30), ("g", b"B" * 30)]).replace(b"--XbX", b"--" + inner)
    whole = form([("a", b"1")])[: -len(b"--XbX--\r\n")] + head % quoted + files + form([("z", b"2")])
    for cut in range(80, len(whole)):
        closed = close(whole[:cut], cut)
        assert len(closed) <= cut
        names = [part.name for part in multipart.parts(closed, b"XbX")]
        assert names == ["a", "n", "z"][: len(names)]
        assert names
        for part in list(multipart.parts(closed, b"XbX"))[1:2]:
            mixed = b'multipart/mixed; boundary="%b"' % quoted
            assert read_multipart(closed[part.start : part.end] + b"\r\n", mixed.decode())[0][0] == "f"


@pytest.mark.parametrize("data", [b"plain text", b"", b"--other\r\n\r\n"])
def test_what_is_not_a_multipart(data: bytes) -> None:
    """A body that is not a multipart is left alone."""
    assert multipart.close(data, b"XbX", 100) in (None, b"")


@pytest.mark.parametrize(
    ("levels", "kept"), [(multipart.MOST_LEVELS, True), (multipart.MOST_LEVELS + 1, False), (2_000, False)]
)
def test_multiparts_in_parts_are_closed_to_a_depth(levels: int, kept: bool) -> None:
    """Untrusted clients may nest them deeply; a part with too many levels is dropped."""
    head = b"--X%d-\r\nContent-Type: multipart/mixed; boundary=X%d-\r\n\r\n"
    nested = b"".join(head % (level, level + 1) for level in range(levels)).replace(b"--X0-", b"--XbX", 1)
    whole = form([("a", b"1")])[: -len(b"--XbX--\r\n")] + nested + b"--X%d-\r\n\r\n" % levels + b"A" * 200
    closed = close(whole, len(whole) - 10)
    assert len(closed) <= len(whole) - 10
    types = [part.content_type for part in multipart.parts(closed, b"XbX")]
    assert types == ["", "multipart/mixed; boundary=X1-"][: 1 + kept]


CONTENT = st.one_of(st.binary(max_size=30), st.text(max_size=20).map(str.encode), st.just(b"\r\n--XbY\r\n--"))


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "file"]), CONTENT), min_size=1, max_size=5), st.booleans(), st.data()
)
def test_any_multipart_at_any_cut(parts: list[tuple[str, bytes]], plain: bool, data: st.DataObject) -> None:
    """All parts but the last are unchanged, and the last is at most shorter."""
    raw = form(parts, b"\n" if plain else b"\r\n")
    cut = data.draw(st.integers(0, len(raw)))
    closed = close(raw[:cut], cut)
    assert len(closed) <= cut
    newline = b"\n" if plain else b"\r\n"
    for part in multipart.parts(closed, b"XbX"):
        assert closed[: part.start].endswith(newline * 2)
        assert closed[part.end :].startswith(newline + b"--XbX")
    kept = [content for _, content in _parts(closed)]
    assert kept[:-1] == [content for _, content in parts][: len(kept)][:-1]
    assert all(content.startswith(last) for last, (_, content) in zip(kept[-1:], parts[len(kept) - 1 :], strict=False))
    if closed:
        names = [name for name, _ in read_multipart(closed, TYPE)]
        assert names == [name for name, _ in parts[: len(kept)]]


def _parts(data: bytes) -> list[tuple[str, bytes]]:
    return [(part.name, data[part.start : part.end]) for part in multipart.parts(data, b"XbX")]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.text(max_size=20).map(str.encode)), max_size=5))
def test_parts_are_found(parts: list[tuple[str, bytes]]) -> None:
    """Parts are found with their names and spans."""
    assert _parts(form(parts)) == parts


def test_a_part_says_what_it_is() -> None:
    """A part's file name and type are read, quoted or not."""
    head = b'content-disposition: form-data; name=f; filename="a;b.png"\r\nContent-Type: image/png'
    data = b"--XbX\r\n" + head + b"\r\n\r\n\x89\r\n--XbX--"
    (part,) = multipart.parts(data, b"XbX")
    assert part[:3] == ("f", "a;b.png", "image/png")
    assert data[part.start : part.end] == b"\x89"
