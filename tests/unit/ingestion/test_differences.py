"""Two samples are compared field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.ingestion import differences
from akto_mirror.ingestion.inventory import Inventory
from tests.support.entries import entry


def compared(older: dict[str, Any], newer: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    """Return the differences between two entries as samples."""
    made = Inventory()
    made.add(older)
    made.add(newer)
    new, old = made.samples(made.endpoints()[0])
    return [tuple(each) for each in differences.compare(old, new)]  # type: ignore[misc]


def test_every_part_of_an_exchange() -> None:
    """Path, query, headers, fields and status are compared, in this order."""
    older = entry("/o/1?a=1&b=2", "POST", headers={"x-a": "1"}, requestPayload={"n": [1, 2], "gone": None})
    newer = entry("/o/2?a=1&c=3", "POST", statusCode="404", requestPayload={"n": [1, 3], "new": "x"})
    assert compared(older, newer) == [
        ("path", "", "/o/1", "/o/2"),
        ("query", "b", "2", None),
        ("query", "c", None, "3"),
        ("request headers", "x-a", "1", None),
        ("request", "n[1]", "2", "3"),
        ("request", "gone", "null", None),
        ("request", "new", None, "x"),
        ("status", "", "200", "404"),
    ]


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        ("application/x-www-form-urlencoded", "a=1&b=x", "a=2&b=x", [("a", "1", "2")]),
        ("application/xml", "<o id='1'><n>a</n></o>", "<o id='2'><n>a</n></o>", [("o@id", "1", "2")]),
        ("text/event-stream", 'data: {"a":1}\n\n', 'data: {"a":2}\n\n', [("a", "1", "2")]),
        ("text/plain", "one\ntwo\nthree", "one\n2\nthree\nfour", [("line 2", "two", "2"), ("line 4", None, "four")]),
        ("application/json", "", '{"a":1}', [("", "", None), ("a", None, "1")][1:]),
        ("application/json", '{"a":1}', '{"a": 1}', []),
        ("application/json", "nonsense", '{"a":1}', [("line 1", "nonsense", '{"a":1}')]),
    ],
)
def test_payloads_by_their_form(kind: str, before: str, after: str, expected: list[Any]) -> None:
    """Payloads with fields are compared field by field, and other text line by line."""
    older, newer = (entry(responsePayload=payload, answered=kind) for payload in (before, after))
    assert [each[1:] for each in compared(older, newer)] == expected


def test_long_values_and_many_differences_end() -> None:
    """The number and the length of differences are bounded."""
    older = entry(responsePayload={f"k{n}": "x" * 1_000 for n in range(900)})
    newer = entry(responsePayload={f"k{n}": "y" * 1_000 for n in range(900)})
    found = compared(older, newer)
    assert 0 < len(found) <= differences.MAX_DIFFERENCES
    assert all(len(each[2] or "") <= differences.MAX_TEXT_CHARS for each in found)
    assert compared(entry(responsePayload="[" * 60_000), entry(responsePayload="[" * 59_000))


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)))
def test_a_sample_does_not_differ_from_itself(value: dict[str, Any]) -> None:
    """A sample differs from one with an additional member, but not from itself."""
    same = entry(responsePayload=json.dumps(value))
    assert compared(same, same) == []
    assert compared(same, entry(responsePayload=json.dumps(value | {"another one": 1})))
