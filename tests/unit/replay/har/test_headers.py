"""Header fields in HAR files."""

from __future__ import annotations

import pytest

from akto_mirror.replay.har import headers
from tests.support.har import read


@pytest.mark.parametrize(
    "given",
    [
        [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        [["A", "1"], ["A", "2"]],
        [{"name": "A", "value": "1\n2"}],
    ],
)
def test_headers_of_all_makers(given: object) -> None:
    """Headers are read as objects, as lists of two as in Slack, and joined by line breaks."""
    assert read({"headers": given}).request.headers.fields == ((b"A", b"1"), (b"A", b"2"))


@pytest.mark.parametrize("given", [None, {}, [None], [[]], [{"value": "x"}], [{"name": ""}]])
def test_headers_that_are_none(given: object) -> None:
    """Headers without a name are skipped."""
    assert read({"headers": given}).request.headers.fields == ()


def test_pseudo_headers_are_apart() -> None:
    """Pseudo-headers, which tools list among the others, are returned separately."""
    given = [{"name": ":authority", "value": "h"}, {"name": "A\r\n", "value": "1"}]
    assert headers.read(given) == ([(b"A", b"1")], {b":authority": b"h"})


def test_a_folded_value_is_one() -> None:
    """A line break that is followed by a space does not start another value."""
    assert headers.read([{"name": "a", "value": "1\r\n 2\n3\0"}])[0] == [(b"a", b"1 2"), (b"a", b"3")]


def test_a_type_is_put_in_only_where_there_is_none() -> None:
    """`add_type` does not replace a content type, but `set_type` does."""
    fields = [(b"A", b"1")]
    headers.add_type(fields, "x-unknown")
    assert headers.first(fields, b"content-type") == ""
    headers.add_type(fields, "text/html")
    headers.add_type(fields, "text/plain")
    assert headers.first(fields, b"content-type") == "text/html"
    headers.set_type(fields, "text/plain")
    assert fields == [(b"A", b"1"), (b"content-type", b"text/plain")]
