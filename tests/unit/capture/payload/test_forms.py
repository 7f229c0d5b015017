"""Forms are cut between pairs."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import forms
from tests.support.texts import read_form


@pytest.mark.parametrize(
    ("form", "limit", "closed"),
    [
        ("a=1&b=22&c=333", 12, "a=1&b=22"),
        ("a=12345&b=22", 10, "a=12345"),
        ("a=1&bcd", 6, "a=1"),
        ("a=" + "x" * 20, 10, "a=xxxxxxxx"),
        ("a=xxxxxx%41%42", 10, "a=xxxxxx"),
        ("a=xxxxx%E2%82%AC", 13, "a=xxxxx"),
        ("a=xxxxx%E2%82%AC", 16, "a=xxxxx%E2%82%AC"),
        ("k" * 20, 10, ""),
        ("a=1&long=" + "y" * 40, 30, "a=1&long=" + "y" * 21),
        ("a=%zz&b=1%4", 11, "a=%25zz"),
        ("a=%zz&b=1", 8, "a=%25zz"),
        ("a=%%%%%%", 8, "a=%25%25"),
    ],
)
def test_where_it_is_cut(form: str, limit: int, closed: str) -> None:
    """The cut is between pairs; a pair that is most of the form keeps its name, and no escape is cut."""
    assert forms.close(form.encode(), limit).decode() == closed


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1), st.data())
def test_any_form_at_any_cut(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    """All pairs but the last are unchanged, and the last is at most shorter."""
    raw = urlencode(pairs).encode("ascii")
    limit = data.draw(st.integers(0, len(raw) - 1))
    closed = forms.close(raw, limit).decode()
    assert len(closed) <= limit
    found = read_form(closed) if closed else []
    assert found[:-1] == pairs[: len(found)][:-1]
    for (name, value), (own_name, own_value) in zip(found[-1:], pairs[len(found) - 1 :], strict=False):
        assert name == own_name
        assert own_value.startswith(value)


@pytest.mark.parametrize(
    ("form", "readable"), [("a=%zz&b=%41%", "a=%25zz&b=%41%25"), ("a=1", "a=1"), ("100% sure", "100% sure")]
)
def test_each_percent_escapes_something(form: str, readable: str) -> None:
    """Akto decodes a form as a whole or not at all; text without a pair is not a form."""
    assert forms.readable(form.encode()).decode() == readable


def test_leaves_have_decoded_names() -> None:
    """Names are decoded; values stay encoded, in place."""
    data = b"user%5Bpass+word%5D=a%26b&x&y=&=z"
    assert [(leaf.place.name, data[leaf.start : leaf.end]) for leaf in forms.leaves(data)] == [
        ("user[pass word]", b"a%26b"),
        ("y", b""),
        ("", b"z"),
    ]
