"""Payloads, read for sampling."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.sampling.payloads import NOTHING, read_json, read_payload

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4) | st.lists(JSON, max_size=4), st.booleans())
def test_the_wire_is_read_as_the_text(value: object, ascii_only: bool) -> None:
    """Any valid JSON is read from the wire like from the payload's text."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    assert read_json(data) == read_payload(text, "application/json")


@pytest.mark.parametrize("data", [b'{"a":1', b'{"a":"\xff"}', b"{}{}", b'{"a":NaN}', b"[" * 100_000])
def test_what_is_no_whole_json_is_not_read_from_the_wire(data: bytes) -> None:
    """JSON that is cut, not in UTF-8, more than one value, or nested too deeply is not read from the wire."""
    assert read_json(data) is None


def test_nothing_is_nothing() -> None:
    """An empty body is no payload, read in either way."""
    assert read_json(b"") == read_payload("", "application/json") == NOTHING
