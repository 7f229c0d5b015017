"""Operations of documents that others wrote."""

from __future__ import annotations

from typing import Any

import pytest

from akto_mirror.ingestion.openapi.operations import ancestors, operations, pattern_of, shape_of


def document(**given: Any) -> dict[str, Any]:
    """Return a document of one operation."""
    return {"openapi": "3.0.3", "paths": {"/a": {"post": given}}}


def read(schema: object, **components: Any) -> dict[str, Any]:
    """Return the fields of a request body."""
    body = {"content": {"application/json; charset=utf-8": {"schema": schema}}}
    (made,) = operations(document(requestBody=body) | {"components": {"schemas": components}})
    assert made.media["request"] == {"application/json"}
    return made.fields["request"]


@pytest.mark.parametrize("given", [{}, {"openapi": "2.0", "paths": {}}, {"swagger": "2.0"}, {"openapi": "3.1.0"}])
def test_another_document_is_refused(given: dict[str, Any]) -> None:
    """The error says what a document needs."""
    with pytest.raises(ValueError, match=r"it needs openapi: 3\.x and paths"):
        operations(given)


def test_members_items_and_records_have_names() -> None:
    """Fields are named by their path from the root."""
    fields = read(
        {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "array", "items": {"properties": {"b": {"type": "integer"}}}}},
            "additionalProperties": {"type": "string", "format": "uuid"},
        }
    )
    assert {name: sorted(each.types) for name, each in fields.items()} == {
        "": ["object"], "a": ["array"], "a[]": [], "a[].b": ["integer"], "{id}": ["string"]
    }  # fmt: skip
    assert (fields["a"].required, fields["a[].b"].required, fields["{id}"].format) == (True, False, "uuid")


def test_parts_and_references_are_one() -> None:
    """Parts of a schema are merged; circular and external references are empty."""
    fields = read(
        {"anyOf": [{"$ref": "#/components/schemas/One"}, {"$ref": "#/components/schemas/Round"}, {"$ref": "http://x"}]},
        One={"type": "object", "nullable": True, "properties": {"a": {"enum": ["x", None]}}},
        Round={"$ref": "#/components/schemas/Round"},
    )
    assert fields[""].types == {"object", "null"}
    assert fields["a"].choices == {"x"}


def test_a_schema_without_an_end_is_bounded() -> None:
    """A recursive schema is read to a bounded depth."""
    fields = read(
        {"$ref": "#/components/schemas/Tree"}, Tree={"properties": {"t": {"$ref": "#/components/schemas/Tree"}}}
    )
    assert "t.t.t" in fields
    assert len(fields) < 20


def test_parameters_and_security() -> None:
    """Parameters of the path item count; header names have no case, and path parameters are not compared."""
    given: dict[str, Any] = {
        "openapi": "3.1.0",
        "servers": [{"url": "https://h/{v}/"}],
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}, "o": {"type": "oauth2"}}
        },
        "paths": {
            "/a/{id}": {
                "parameters": [{"in": "header", "name": "X-A", "schema": {"type": "string"}}],
                "get": {"parameters": [{"in": "path", "name": "id"}, {"in": "query", "name": "q", "required": True}]},
                "put": {"security": [{}, {"o": []}]},
            }
        },
    }
    get, put = operations(given)
    assert (get.method, get.path) == ("GET", "/x/a/{id}")
    assert (list(get.fields["header"]), get.fields["query"]["q"].required) == (["x-a"], True)
    assert (get.security, get.open) == ({"header x-key"}, False)
    assert (put.security, put.open) == ({"http bearer"}, True)


def test_paths_and_names() -> None:
    """Templates that differ only in names are equal, and match paths."""
    assert shape_of("/a/{x}/b/") == shape_of("/a/{y}/b") == "/a/{}/b"
    assert pattern_of("/a.b/{id}").fullmatch("/a.b/7")
    assert not pattern_of("/a.b/{id}").fullmatch("/axb/7")
    assert not pattern_of("/a/{id}").fullmatch("/a/7/8")
    assert list(dict.fromkeys(ancestors("a[].b"))) == ["", "a", "a[]"]
