"""The inventory as an OpenAPI document, checked by a validator."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from ruamel.yaml import YAML

from akto_mirror.ingestion.inventory import Inventory
from akto_mirror.ingestion.openapi import yaml
from akto_mirror.ingestion.openapi.document import build
from tests.support.entries import JWT, UUID, entry, folded
from tests.support.hostile import ENTRIES


def described(*entries: dict[str, Any], host: str = "") -> dict[str, Any]:
    """Return the document of these entries, which must be valid."""
    made = folded(*entries)
    document = build(made.endpoints(host), made.samples)
    validate(document)
    assert pyyaml.safe_load(yaml.dump(document)) == document
    return document


def operation(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return the only operation of these entries."""
    ((_, item),) = described(*entries)["paths"].items()
    (made,) = item.values()
    return dict(made)


def orders(number: int) -> list[dict[str, Any]]:
    """Return entries of one endpoint that differ as samples do."""
    return [
        entry(
            f"/api/orders/{100 + n}?page={n}&sort={('asc', 'desc')[n % 2]}" + ("&tag=a&tag=b" if n % 3 == 0 else ""),
            headers={"authorization": f"Bearer {JWT}", "x-tenant": "north", "user-agent": "t"},
            responsePayload={
                "id": 2**40 + n, "key": UUID, "state": ("open", "paid")[n % 2], "total": n / 2,
                "note": None if n % 2 else "x",
                "placed": "2024-01-01T00:00:00Z", "lines": [{"sku": f"lamp {n}", "count": n}] * (n % 3),
                "byCustomer": {str(n): {"name": f"n {n}"}}, **({"gift": True} if n % 5 == 0 else {}),
            },
        )
        for n in range(number)
    ]  # fmt: skip


def test_schemas_are_merged_over_all_samples() -> None:
    """Types, null, formats, required fields, choices and records by id are merged over all samples."""
    content = operation(*orders(40))["responses"]["200"]["content"]["application/json"]
    schema = content["schema"]
    assert schema["properties"] == {
        "id": {"type": "integer", "format": "int64"},
        "key": {"type": "string", "format": "uuid"},
        "state": {"type": "string", "enum": ["open", "paid"]},
        "total": {"type": "number"},
        "note": {"type": ["string", "null"]},
        "placed": {"type": "string", "format": "date-time"},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}},
                "required": ["sku", "count"],
            },
        },
        "byCustomer": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            },
        },
        "gift": {"type": "boolean"},
    }
    assert set(schema["properties"]) - set(schema["required"]) == {"gift"}
    OAS31Validator(schema).validate(content["example"])


def test_parameters_are_typed() -> None:
    """Path parameters are named after the previous segment, repeated query parameters are lists; all have types."""
    found = {(each["in"], each["name"]): each for each in operation(*orders(40))["parameters"]}
    assert set(found) == {
        ("path", "orderId"), ("query", "page"), ("query", "sort"), ("query", "tag"), ("header", "x-tenant")
    }  # fmt: skip
    assert found["path", "orderId"] == {
        "name": "orderId", "in": "path", "required": True, "schema": {"type": "integer"}, "example": 100
    }  # fmt: skip
    assert found["query", "sort"]["schema"] == {"type": "string", "enum": ["asc", "desc"]}
    assert found["query", "tag"] == {
        "name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
    }  # fmt: skip
    assert found["query", "page"]["required"]
    assert found["header", "x-tenant"]["example"] == "north"


@pytest.mark.parametrize(
    ("headers", "path", "name", "scheme"),
    [
        ({"authorization": "Bearer a"}, "/a", "bearer", {"type": "http", "scheme": "bearer"}),
        ({"authorization": f"Bearer {JWT}"}, "/a", "bearerJwt",
         {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
        ({"authorization": "Basic YTpi"}, "/a", "basic", {"type": "http", "scheme": "basic"}),
        ({"authorization": "raw"}, "/a", "header-authorization",
         {"type": "apiKey", "in": "header", "name": "authorization"}),
        ({"x-api-key": "k"}, "/a", "header-x-api-key", {"type": "apiKey", "in": "header", "name": "x-api-key"}),
        ({"cookie": "sid=1"}, "/a", "cookie-sid", {"type": "apiKey", "in": "cookie", "name": "sid"}),
        ({}, "/a?api_key=1", "query-api_key", {"type": "apiKey", "in": "query", "name": "api_key"}),
    ],
)  # fmt: skip
def test_security_schemes(headers: dict[str, str], path: str, name: str, scheme: dict[str, str]) -> None:
    """Each kind of authentication is a security scheme, and optional if some requests have none."""
    document = described(entry(path, headers=headers), entry("/b"))
    assert document["components"]["securitySchemes"] == {name: scheme}
    assert document["paths"]["/a"]["get"]["security"] == [{name: []}]
    assert "security" not in document["paths"]["/b"]["get"]
    assert operation(entry(path, headers=headers), entry("/a"))["security"] == [{name: []}, {}]


def test_no_secret_is_in_an_example() -> None:
    """Credentials and values with secret names are hidden in examples."""
    made = described(
        entry(
            f"/a?access_token={JWT}&reset_token=hunter2", "POST",
            headers={"cookie": "sid=hunter2", "x-secret": "hunter2"},
            requestPayload={"password": "hunter2", "in": [{"cardNumber": "hunter2", "api_key": {"a": "hunter2"}}]},
        ),
        entry("/f", "POST", sent="application/x-www-form-urlencoded", requestPayload="user=ann&pin=hunter2"),
    )  # fmt: skip
    text = json.dumps(made)
    assert "hunter2" not in text
    assert JWT not in text
    assert '"user": "ann"' in text
    secrets = folded(
        *(entry("/a", responsePayload={"token": f"hunter{n % 2}"}, headers={"x-a": "b"}) for n in range(40))
    )
    assert "hunter" not in json.dumps(build(secrets.endpoints(), secrets.samples))
    assert '"example"' in json.dumps(build(secrets.endpoints(), secrets.samples))
    assert '"example"' not in json.dumps(build(secrets.endpoints()))


def test_statuses_and_content_types_are_distinguished() -> None:
    """Each status has its own schema; without a payload there is no content."""
    made = operation(
        entry("/a", "POST", requestPayload={"n": 1}, statusCode="201", responsePayload={"id": 1}),
        entry(
            "/a",
            "POST",
            sent="application/xml",
            requestPayload="<n>1</n>",
            statusCode="422",
            responsePayload={"error": "x"},
        ),
        entry("/a", "POST", statusCode="204"),
        entry("/a", "POST", statusCode="weird"),
    )
    assert set(made["responses"]) == {"201", "422", "204", "default"}
    assert made["responses"]["422"]["content"]["application/json"]["schema"]["required"] == ["error"]
    assert made["responses"]["204"] == {"description": "No Content"}
    assert set(made["requestBody"]["content"]) == {"application/json", "application/xml"}
    assert "required" not in made["requestBody"]


def test_other_kinds_of_payloads() -> None:
    """XML with attributes, forms, files, event streams and gRPC are described."""
    xml = "<o:shop xmlns:o='u'><o:item id='7'>lamp</o:item><o:item id='8'>x</o:item><n>1</n></o:shop>"
    part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n1\r\n'
    made = described(
        entry("/xml", answered="application/xml", responsePayload=xml),
        entry("/form", "POST", sent="application/x-www-form-urlencoded", requestPayload="a=1&b=x&b=y"),
        entry("/up", "POST", sent="multipart/form-data; boundary=x",
              requestPayload=part.format("a", "") + part.format("f", '; filename="x.png"')),
        entry("/mcp", "POST",
              requestPayload={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "sum"}},
              answered="text/event-stream", responsePayload='data: {"id":1}\n\n'),
        entry("/graphql", "POST", requestPayload={"query": "query Orders { a }"}),
        entry("/shop.Stock/Check", "POST", sent="application/grpc", requestPayload="AAAAAAIIBw=="),
    )["paths"]  # fmt: skip

    def schema(path: str, media: str) -> dict[str, Any]:
        ((_, found),) = made[path].items()
        content = found.get("requestBody", found["responses"]["200"])["content"]
        return dict(content[media]["schema"])

    document = schema("/xml", "application/xml")
    assert document["xml"] == {"name": "shop", "prefix": "o"}
    assert document["properties"]["o:item"]["items"]["properties"]["id"] == {
        "type": "integer", "xml": {"name": "id", "attribute": True}
    }  # fmt: skip
    assert document["properties"]["n"]["type"] == "integer"
    assert schema("/form", "application/x-www-form-urlencoded")["properties"] == {
        "a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}
    }  # fmt: skip
    assert schema("/up", "multipart/form-data")["properties"]["f"] == {"type": "string", "format": "binary"}
    assert "1 integer" in schema("/shop.Stock/Check", "application/grpc")["description"]
    assert made["/shop.Stock/Check"]["post"]["tags"] == ["gRPC"]
    assert made["/graphql"]["post"]["x-operations"] == ["query Orders"]
    assert (made["/mcp"]["post"]["tags"], made["/mcp"]["post"]["x-operations"]) == (["MCP"], ["tools/call sum"])
    stream = made["/mcp"]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert stream["x-event-data"]["properties"] == {"id": {"type": "integer"}}


def test_hosts_are_servers_and_endpoints_of_several_are_one() -> None:
    """Hosts are servers; the same endpoint on several hosts is one operation with a merged schema."""
    made = (
        entry("/a", host="b.example", responsePayload={"x": 1}),
        entry("/a", host="a.example:8443", responsePayload={"x": 1.5, "y": 2}),
        entry("/only", host="localhost:3000"),
        entry("/none", host=""),
    )
    document = described(*made)
    assert [each["url"] for each in document["servers"]] == [
        "https://a.example:8443", "https://b.example", "http://localhost:3000"
    ]  # fmt: skip
    found = document["paths"]["/a"]["get"]
    assert [each["url"] for each in found["servers"]] == ["https://a.example:8443", "https://b.example"]
    schema = found["responses"]["200"]["content"]["application/json"]["schema"]
    assert (schema["properties"]["x"], schema["required"]) == ({"type": "number"}, ["x"])
    alone = described(*made, host="b.example")
    assert (list(alone["paths"]), alone["info"]["title"]) == (["/a"], "b.example")
    assert "servers" not in alone["paths"]["/a"]["get"]
    assert "servers" not in described(made[3])


def test_other_methods_stand_in_an_extension() -> None:
    """Methods that OpenAPI 3.1 does not have are kept in an extension."""
    document = described(entry("/a", "PURGE"), entry("/a", "GET"))
    assert set(document["paths"]["/a"]) == {"get", "x-other-methods"}
    assert document["paths"]["/a"]["x-other-methods"]["purge"]["operationId"] == "purgeA"


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRIES, max_size=6))
def test_every_inventory_makes_a_valid_document(entries: list[dict[str, Any]]) -> None:
    """Any entries give a valid document, in JSON and in YAML."""
    made = Inventory()
    for each in entries:
        made.add(each)
    document = build(made.endpoints(), made.samples)
    validate(document)
    text = yaml.dump(document)
    assert YAML(typ="safe", pure=True).load(text) == document
