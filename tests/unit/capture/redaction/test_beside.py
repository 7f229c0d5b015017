"""Names and values next to each other."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction import beside


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"- name: TOKEN\n  value: x", b"x"),
        (b"{name: 'TOKEN', type: 't', value: x}", b"x}"),
        (b"- value: x\n  name: TOKEN", b"x\n  name: TOKEN"),
        (b"{value: x, key: TOKEN}", b"x, key: TOKEN}"),
    ],
)
def test_values(text: bytes, value: bytes) -> None:
    """A value may come before or after its name, within the same item."""
    begin = text.index(b"TOKEN")
    assert beside.is_name(text, begin)
    found = beside.value_of(text, begin, begin + 5)
    assert found
    assert text[found[1] :] == value


@pytest.mark.parametrize(
    "text", [b"- name: TOKEN\n- value: x", b"{name: TOKEN}, {value: x}", b"- value: x\n- name: TOKEN"]
)
def test_values_of_other_items(text: bytes) -> None:
    """An item ends where the next one begins."""
    begin = text.index(b"TOKEN")
    assert beside.is_name(text, begin)
    assert beside.value_of(text, begin, begin + 5) is None


@pytest.mark.parametrize("text", [b"see TOKEN", b"kind: TOKEN", b"TOKEN"])
def test_what_is_not_a_name(text: bytes) -> None:
    """Words, and values of other members, are not names."""
    assert not beside.is_name(text, text.index(b"TOKEN"))
