"""Differences between an OpenAPI document and traffic: new, changed and gone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.ingestion.openapi.compare import CHANGED, GONE, NEW, compare
from akto_mirror.ingestion.openapi.document import build
from tests.support.entries import entry, folded


def document(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return the document of these entries."""
    return build(folded(*entries).endpoints())


def changes(base: dict[str, Any], *entries: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the differences as kind, method with path, and details."""
    return [(each.kind, f"{each.method} {each.path}", each.details) for each in compare(base, document(*entries))]


def details(older: dict[str, Any], newer: dict[str, Any]) -> tuple[str, ...]:
    """Return the details of the difference between two entries of one endpoint."""
    found = changes(document(older), newer)
    return found[0][2] if found else ()


def test_new_and_gone_endpoints() -> None:
    """Endpoints are ordered by path, gone ones last; names of path parameters do not matter."""
    base = document(entry("/a"), entry("/orders/7"), entry("/z", "DELETE"))
    assert changes(base, entry("/a"), entry("/orders/8"), entry("/b", "POST"), entry("/z")) == [
        (NEW, "POST /b", ()), (NEW, "GET /z", ()), (GONE, "DELETE /z", ())
    ]  # fmt: skip
    assert changes(base, entry("/a"), entry("/orders/7"), entry("/z", "DELETE")) == []


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        ({"path": "/a"}, {"path": "/a?page=1"}, ("query: new parameter page (integer)",)),
        ({"path": "/a?page=1"}, {"path": "/a?page=x"}, ("query: page is also string, was integer",)),
        ({"path": "/a?page=1"}, {"path": "/a"}, ("query: page, which was always present, is gone",)),
        ({"headers": {}}, {"headers": {"x-tenant": "a"}}, ("header: new parameter x-tenant (string)",)),
        ({"responsePayload": {"n": 1}}, {"responsePayload": {"n": 1.5}},
         ("response 200: n is also number, was integer",)),
        ({"responsePayload": {"n": 1.5}}, {"responsePayload": {"n": 1}}, ()),
        ({"responsePayload": {"n": 1}}, {"responsePayload": {"n": None}},
         ("response 200: n is also null, was integer",)),
        ({"responsePayload": {"n": 1}}, {"responsePayload": {"n": 1, "o": {"p": [1]}}},
         ("response 200: new field o (object)",)),
        ({"responsePayload": {"n": {"a": 1, "b": 1}}}, {"responsePayload": {"n": {"a": 1}}},
         ("response 200: n.b, which was always present, is gone",)),
        ({"responsePayload": {"d": "2024-01-01"}}, {"responsePayload": {"d": "today"}},
         ("response 200: d has no format, had date",)),
        ({"responsePayload": {"n": 1}}, {"statusCode": "404", "responsePayload": {"error": "x"}},
         ("new response 404",)),
        ({"responsePayload": {"n": 1}}, {"responsePayload": "<n>1</n>", "answered": "application/xml"},
         ("response 200: new content type application/xml",)),
        ({"headers": {"authorization": "Bearer a"}}, {}, ("can be called without authentication",)),
        ({}, {"headers": {"x-api-key": "k"}}, ("new authentication: header x-api-key",)),
        ({"headers": {"x-api-key": "k"}}, {"headers": {"x-api-key": "other"}}, ()),
        ({"method": "POST"}, {"method": "POST", "requestPayload": {"a": 1}}, ("request: new field a (integer)",)),
    ],
)  # fmt: skip
def test_what_has_changed(older: dict[str, Any], newer: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Additions, other types and missing required fields are changes; missing optional fields are not."""
    assert set(expected) <= set(details(entry(**older), entry(**newer)))
    if not expected:
        assert details(entry(**older), entry(**newer)) == ()


def test_new_values_and_what_is_no_longer_always_present() -> None:
    """A choice has a new value, and a required field is missing in some samples."""
    base = document(*(entry(responsePayload={"s": ("open", "paid")[n % 2], "t": n}) for n in range(40)))
    newer = [
        entry(responsePayload={"s": ("open", "paid", "lost")[n % 3], **({"t": n} if n else {})}) for n in range(60)
    ]
    assert changes(base, *newer) == [
        (CHANGED, "GET /a", ("response 200: s has new values: lost", "response 200: t is no longer always present"))
    ]  # fmt: skip


BY_HAND: dict[str, Any] = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://{region}.shop.example/v1/", "variables": {"region": {"default": "eu"}}}],
    "security": [{"oauth": []}],
    "paths": {
        "/orders/{number}": {
            "parameters": [{"$ref": "#/components/parameters/Tenant"}],
            "get": {
                "parameters": [
                    {"name": "expand", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
                ],
                "responses": {
                    "2XX": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
                    "default": {"$ref": "#/components/responses/Error"},
                },
            },
        },
        "/files/{name}": {"get": {"responses": {"200": {"content": {"*/*": {"schema": {}}}}}}},
    },
    "components": {
        "parameters": {"Tenant": {"name": "X-Tenant", "in": "header", "schema": {"type": "string"}}},
        "responses": {"Error": {"content": {"application/json": {"schema": {"type": "object"}}}}},
        "schemas": {
            "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
            "Order": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {"properties": {
                        "parent": {"$ref": "#/components/schemas/Order"},
                        "note": {"type": "string", "nullable": True},
                        "paid": {"oneOf": [{"type": "boolean"}, {"type": "string"}]},
                        "extra": {"type": "object", "additionalProperties": True},
                    }},
                ]
            },
        },
        "securitySchemes": {"oauth": {"type": "oauth2"}},
    },
}  # fmt: skip


def known(**changed: Any) -> dict[str, Any]:
    """Return an entry that the document written by hand describes."""
    payload = {"id": 1, "parent": {"id": 2}, "note": None, "paid": "x", "extra": {"any": [1]}}
    headers = {"authorization": "Bearer a", "x-tenant": "t"}
    return entry("/v1/orders/7?expand=a&expand=b", headers=headers, **({"responsePayload": payload} | changed))


def test_a_document_written_by_hand_is_understood() -> None:
    """References, allOf, ranges of statuses, nullable of 3.0, OAuth and the server's path are read."""
    files = entry("/v1/files/list", headers={"authorization": "Bearer a"}, responsePayload={"any": 1})
    error = known(statusCode="500", responsePayload={"code": 1})
    assert changes(BY_HAND, known(), files, error) == []
    grown = known(responsePayload={"id": "x", "parent": {"id": 2, "more": 1}, "extra": {}, "new": 1})
    assert changes(BY_HAND, grown, files) == [
        (CHANGED, "GET /v1/orders/{orderId}", (
            "response 200: id is also string, was integer",
            "response 200: new field parent.more (integer)",
            "response 200: new field new (integer)",
        ))
    ]  # fmt: skip


@pytest.mark.parametrize(
    "base", [{}, {"openapi": "2.0", "paths": {}}, {"openapi": "3.1.0"}, {"openapi": "3.1.0", "paths": []}]
)
def test_what_is_not_a_document_is_refused(base: dict[str, Any]) -> None:
    """The error says what a document needs."""
    with pytest.raises(ValueError, match="OpenAPI document of version 3"):
        compare(base, document(entry()))


def test_references_that_lead_round_come_to_an_end() -> None:
    """Circular references and deeply nested schemas end."""
    loop = {"$ref": "#/components/schemas/A"}
    wide = {"type": "object", "properties": {f"p{n}": loop for n in range(50)}, "items": loop, "anyOf": [loop, loop]}
    content = {"application/json": {"schema": loop}}
    base = {
        "openapi": "3.1.0",
        "paths": {"/a": {"get": {"responses": {"200": {"content": content}}}}},
        "components": {"schemas": {"A": wide, "B": {"$ref": "#/components/schemas/B"}}},
    }
    assert compare(base, document(entry("/a"))) == []


WORDS = """/a get parameters in name schema type items properties required enum $ref allOf content responses 200
security components securitySchemes additionalProperties application/json""".split()  # noqa: SIM905 - a line a name
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("#/paths/~1a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["/a", "/{x}", "x"]), ANY, max_size=3), ANY, ANY)
def test_no_document_makes_it_raise(paths: Any, components: Any, servers: Any) -> None:
    """Any values in a document are compared without an error."""
    base = {"openapi": "3.0.0", "paths": paths, "components": components, "servers": servers}
    compare(base, document(entry("/a", responsePayload={"a": [1]})))


def test_a_document_does_not_differ_from_itself() -> None:
    """A document of many kinds of entries does not differ from itself."""
    made = [
        known(),
        entry("/x", "PURGE"),
        entry("/g", "POST", requestPayload={"query": "query A { a }"}),
        entry(host=""),
    ]
    assert changes(document(*made), *made) == []
