"""Folded paths as OpenAPI path templates, and operation ids."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.openapi.paths import operation_id, singular, template


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("/orders/{id}", "/orders/{orderId}", ["orderId"]),
        ("/companies/{id}/boxes/{id}", "/companies/{companyId}/boxes/{boxId}", ["companyId", "boxId"]),
        ("/a/{id}/{id}", "/a/{aId}/{aId2}", ["aId", "aId2"]),
        ("/{id}", "/{id}", ["id"]),
        ("/v1/{id}.png", "/v1/{v1Id}.png", ["v1Id"]),
        ("/files/report-{id}.pdf", "/files/report-{reportId}.pdf", ["reportId"]),
        ("/order-items/{id}", "/order-items/{orderItemId}", ["orderItemId"]),
        ("/a/{b}/c", "/a/%7Bb%7D/c", []),
        ("/é/\u202e x", "/%C3%A9/%E2%80%AE%20x", []),
        ("*", "/*", []),
        ("", "/", []),
        ("/a/…", "/a/{rest}", ["rest"]),
    ],
)
def test_templates(path: str, text: str, names: list[str]) -> None:
    """Each parameter has its own name, and other braces are encoded."""
    assert template(path) == (text, names)


def test_names_of_operations_are_all_different() -> None:
    """Operation ids, made of method and path, are unique for any path."""
    used: set[str] = set()
    made = [operation_id("GET", path, used) for path in ("/orders/{orderId}", "/orders/{orderId}/", "/é", "/", "/ü")]
    assert made[0] == "getOrdersByOrderId"
    assert len(set(made)) == 5
    assert [singular(word) for word in ("orders", "categories", "addresses", "status", "boxes", "news", "s")] == [
        "order", "category", "address", "status", "box", "new", "s"
    ]  # fmt: skip
