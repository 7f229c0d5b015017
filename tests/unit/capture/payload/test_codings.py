"""Content codings are undone, as far as a damaged body goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import codings
from akto_mirror.capture.payload.codings import decode
from tests.support.coders import CODERS, encode


@given(st.binary(max_size=3000), st.lists(st.sampled_from(list(CODERS)), max_size=4).map(",".join))
def test_what_was_coded_is_decoded(data: bytes, coding: str) -> None:
    """Up to four codings in a row give the body back."""
    assert decode(encode(data, coding), coding, 3000) == data


@given(st.binary(max_size=3000), st.sampled_from(list(CODERS)), st.integers(1, 3000), st.integers(0, 3000))
def test_a_truncated_body_gives_a_true_beginning(data: bytes, coding: str, limit: int, cut: int) -> None:
    """Never a byte that was not there, unless the bytes themselves pass for text under a wrong label."""
    kept = encode(data, coding)[:cut]
    found = decode(kept, coding, limit)
    assert data.startswith(found) or found == kept[:limit]


@pytest.mark.parametrize(
    ("value", "names"),
    [("", []), ("gzip", ["gzip"]), (" GZIP , identity,br,, ", ["gzip", "br"]), ("identity", [])],
)
def test_a_value_names_codings(value: str, names: list[str]) -> None:
    """In lower case, and without what changes nothing."""
    assert codings.content_codings(value) == names


def test_more_codings_than_anybody_uses_stay() -> None:
    """The bytes are as they came, so that no header hides them."""
    body = encode(b"text", ",".join(["gzip"] * (codings.MAX_CODINGS + 1)))
    assert codings.decode(body, ",".join(["gzip"] * (codings.MAX_CODINGS + 1)), 1000) == body


@pytest.mark.parametrize("coding", list(CODERS))
def test_the_end_of_a_body_is_known(coding: str) -> None:
    """Whether all of it came, and all of it is within the limit."""
    body = encode(b"text" * 100, coding)
    assert codings.decoded(body, coding, 400) == codings.Decoded(b"text" * 100, ended=True)
    assert codings.decoded(body, coding, 399).data == (b"text" * 100)[:399]


def test_a_wrong_label_hides_no_text() -> None:
    """What was never encoded is what it is; other bytes that cannot be decoded are nothing."""
    assert codings.decode(b'{"a":1}', "gzip", 100) == b'{"a":1}'
    assert codings.decode(b"\x00\xff\xfe", "gzip", 100) == b""
    assert codings.decode(b"text", "unknown", 100) == b"text"


def test_what_is_kept_of_a_body_is_bounded() -> None:
    """Twice the limit, and enough for heads and tables; nothing for nothing."""
    assert [codings.prefix_bound(limit) for limit in (0, 1, 65_536)] == [0, codings.MIN_PREFIX, 131_072]
