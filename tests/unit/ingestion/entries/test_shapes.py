"""Shapes describe what values have in common: types, formats, required members and choices."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.ingestion.entries.shapes import (
    Learner,
    Room,
    Shape,
    Text,
    choices,
    merge,
    rows,
    type_names,
)
from tests.support.entries import UUID


def learned(*values: Any, room: Room | None = None) -> Shape:
    """Return the shape of these values."""
    shape = Shape()
    for value in values:
        Learner(room or Room(10_000, 10_000), lambda _: True).learn(shape, value)
    return shape


def test_a_format_is_that_of_all_values() -> None:
    """A format is kept only if all values have it, not counting null."""
    assert learned(UUID, None, UUID).format == "uuid"
    assert learned(UUID, "x").format == ""
    assert learned(UUID, "2024-01-01").format == ""
    assert learned(None, 7).format is None


def test_members_are_counted_within_their_objects() -> None:
    """Members of a list's elements are counted per element, not per list."""
    shape = learned({"items": [{"a": 1, "b": 2}, {"a": None}]}, {"items": []}, {})
    found = {row.name: (type_names(row.types), row.count, of) for row, of in rows(shape, 3)}
    assert found == {"items[].a": (["null", "integer"], 2, 2), "items[].b": (["integer"], 1, 2)}
    assert (shape.objects, (shape.members or {})["items"].count) == (3, 2)


def test_what_is_an_object_at_times_is_listed_itself_as_well() -> None:
    """A member that is sometimes an object, or an empty object, is listed itself too."""
    found = {row.name: type_names(row.types) for row, _ in rows(learned({"a": {"b": 1}}, {"a": "x"}, {"c": {}}), 3)}
    assert found == {"a": ["string", "object"], "a.b": ["integer"], "c": ["object"]}


def test_a_choice_is_few_values_of_many() -> None:
    """A choice has a few short values without spaces in many samples."""
    assert choices(learned(*["open", "closed"] * 10)) == ["open", "closed"]
    assert choices(learned(*["open", "closed"] * 5)) == []
    assert choices(learned(*["open"] * 50)) == []
    assert choices(learned(*[f"v{n % 13}" for n in range(500)])) == []
    assert choices(learned(*["a lamp", "a chair"] * 50)) == []
    assert choices(learned(*["open", None, "closed"] * 20)) == ["open", "closed"]
    assert choices(learned(*["open", "x" * 41] * 20)) == []


def test_texts_have_the_types_that_they_look_like() -> None:
    """Values of a query may be numbers or booleans; repeated ones are a list."""
    shape = learned({"a": Text("7"), "b": [Text("1"), Text("x")], "c": Text("true"), "d": Text(UUID)})
    found = {row.name: (type_names(row.types), row.format) for row, _ in rows(shape, 1)}
    assert found["a"][0] == ["integer"]
    assert found["b[]"][0] == ["integer", "string"]
    assert found["c"][0] == ["boolean"]
    assert found["d"] == (["string"], "uuid")


@pytest.mark.parametrize(("number", "wide"), [(2**31 - 1, 0), (-(2**31), 0), (2**31, 1), (2**63 - 1, 1), (2**63, 2)])
def test_wide_numbers_are_known(number: int, wide: int) -> None:
    """Numbers beyond 32 or 64 bits are noted, in JSON and in text."""
    assert learned(number).wide == wide
    assert learned(Text(str(number))).wide == wide


def test_what_is_kept_ends_at_its_bounds() -> None:
    """Names and values take from the room; values that are not needed give back, and nothing is kept beyond it."""
    room = Room(5, 8)
    shape = learned({f"k{letter}": "v" for letter in "abcdefghij"}, room=room)
    assert (len(shape.members or {}), room.names, room.values) == (5, 0, 3)
    member = (shape.members or {})["ka"]
    for number in range(3):
        Learner(room, lambda _: True).learn(member, f"w{number}")
    assert (room.values, member.varied) == (0, False)
    Learner(room, lambda _: True).learn(member, "one more")
    assert (room.values, member.varied, member.values) == (3, True, {"v": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def described(shape: Shape) -> list[tuple[object, ...]]:
    """Return everything that a shape knows, in the order of names."""
    known = [(row.name, row.types, row.count, row.format, row.wide, of) for row, of in rows(shape, shape.count)]
    return sorted(known, key=lambda each: str(each[0]))


@settings(deadline=None)
@given(st.lists(JSON, max_size=5), st.lists(JSON, max_size=5))
def test_merging_is_learning_all(first: list[Any], second: list[Any]) -> None:
    """Merging two shapes gives the shape of all values."""
    both, one, other = learned(*first, *second), learned(*first), learned(*second)
    merge(one, other)
    assert described(one) == described(both)
