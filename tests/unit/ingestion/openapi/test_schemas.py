"""Shapes as schemas, type by type; `test_document` validates whole documents."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from akto_mirror.ingestion.openapi.schemas import body_schema, parameter_schema
from tests.support.entries import entry, folded

VALUES: list[list[Any]] = [
    [1, 2],
    [1, 2.5],
    [1, None],
    [2**40],
    ["a", "b"],
    ["2026-01-01", "2026-01-02"],
    [True],
    [None],
    [[1, "a"], []],
    [{"a": 1, "b": "x"}, {"a": 2}],
    [{"a": {"b": [{"c": None}, {"c": 1}]}}],
    [1, "a", None, {"x": 1}, [2]],
]


def schema_of(values: list[Any]) -> dict[str, Any]:
    """Return the schema of these values as a member of payloads."""
    (endpoint,) = folded(*(entry(responsePayload={"v": value}) for value in values)).endpoints()
    found: dict[str, Any] = body_schema(endpoint.bodies["200", "application/json"])["properties"]["v"]
    return found


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_all_values_meet_their_schema(values: list[Any]) -> None:
    """A validator of JSON Schema 2020-12 accepts all values."""
    made = schema_of(values)
    OAS31Validator.check_schema(made)
    assert [value for value in values if not OAS31Validator(made).is_valid(value)] == []


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1], {"type": "integer"}),
        ([1, 2.5], {"type": "number"}),
        ([2**40], {"type": "integer", "format": "int64"}),
        ([None, "x"], {"type": ["string", "null"]}),
        (["2026-01-01"], {"type": "string", "format": "date"}),
        ([[]], {"type": "array", "items": {}}),
    ],
)
def test_a_type_is_as_narrow_as_the_values(values: list[Any], wanted: dict[str, Any]) -> None:
    """Null is last, and integer is left out beside number."""
    assert schema_of(values) == wanted


def test_a_parameter_that_came_twice_is_an_array() -> None:
    """The array's items keep the type of the single values."""
    (endpoint,) = folded(entry("/a?q=1"), entry("/a?q=2&q=3")).endpoints()
    assert endpoint.query.members is not None
    assert parameter_schema(endpoint.query.members["q"]) == {"type": "array", "items": {"type": "integer"}}
