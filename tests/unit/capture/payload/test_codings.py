"""Content codings are decoded, of a damaged body as far as possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import codings
from akto_mirror.capture.payload.codings import decode
from tests.support.coders import CODERS, encode


@given(st.binary(max_size=3000), st.lists(st.sampled_from(list(CODERS)), max_size=4).map(",".join))
def test_what_was_coded_is_decoded(data: bytes, coding: str) -> None:
    """Chains of up to four codings are decoded."""
    assert decode(encode(data, coding), coding, 3000) == data


@given(st.binary(max_size=3000), st.sampled_from(list(CODERS)), st.integers(1, 3000), st.integers(0, 3000))
def test_a_truncated_body_gives_a_true_beginning(data: bytes, coding: str, limit: int, cut: int) -> None:
    """A truncated body gives a prefix of the original, unless its bytes pass for text under a wrong label."""
    kept = encode(data, coding)[:cut]
    found = decode(kept, coding, limit)
    assert data.startswith(found) or found == kept[:limit]


@pytest.mark.parametrize(
    ("value", "names"),
    [("", []), ("gzip", ["gzip"]), (" GZIP , identity,br,, ", ["gzip", "br"]), ("identity", [])],
)
def test_a_value_names_codings(value: str, names: list[str]) -> None:
    """Codings are named in lower case, without `identity`."""
    assert codings.content_codings(value) == names


def test_more_codings_than_anybody_uses_stay() -> None:
    """A longer chain is left encoded, so that no header hides the bytes."""
    body = encode(b"text", ",".join(["gzip"] * (codings.MAX_CODINGS + 1)))
    assert codings.decode(body, ",".join(["gzip"] * (codings.MAX_CODINGS + 1)), 1000) == body


@pytest.mark.parametrize("coding", list(CODERS))
def test_the_end_of_a_body_is_known(coding: str) -> None:
    """It is known whether the whole body arrived, and whether it is within the limit."""
    body = encode(b"text" * 100, coding)
    assert codings.decoded(body, coding, 400) == codings.Decoded(b"text" * 100, ended=True)
    assert codings.decoded(body, coding, 399).data == (b"text" * 100)[:399]


def test_a_wrong_label_hides_no_text() -> None:
    """Unencoded text under a wrong label is kept; other bytes that cannot be decoded are dropped."""
    assert codings.decode(b'{"a":1}', "gzip", 100) == b'{"a":1}'
    assert codings.decode(b"\x00\xff\xfe", "gzip", 100) == b""
    assert codings.decode(b"text", "unknown", 100) == b"text"


def test_what_is_kept_of_a_body_is_bounded() -> None:
    """At most twice the limit is kept, plus room for headers and tables; nothing for a limit of 0."""
    assert [codings.prefix_bound(limit) for limit in (0, 1, 65_536)] == [0, codings.MIN_PREFIX, 131_072]
