"""The filter accepts any text, and names mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.ingestion import filters
from akto_mirror.ingestion.inventory import Inventory
from tests.support.entries import JWT, UUID, entry, folded

NOW = 1_700_010_000.0


@pytest.fixture(scope="module")
def made() -> Inventory:
    """Return an inventory of entries of all kinds."""
    return folded(
        entry("/orders", "POST", time="1700000000", statusCode="201", requestPayload={"password": "x"}),
        entry("/orders/7", time="1700009000", statusCode="404", headers={"authorization": f"Bearer {JWT}"}),
        entry("/orders/7", time="1700009990", headers={"authorization": f"Bearer {JWT}"}, responsePayload={"id": UUID}),
        entry("/health", host="cdn.example", time="", statusCode="503", headers={"x-api-key": "k"}),
        entry("/graphql", "POST", requestPayload={"query": "query Orders { orders }"}, headers={"cookie": "sid=1"}),
        entry("/a b", "PUT", host="localhost:8080", statusCode=""),
    )


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("", ["/health", "/a b", "/graphql", "/orders", "/orders/{id}"]),
        ("orders", ["/graphql", "/orders", "/orders/{id}"]),
        ("orders -graphql", ["/orders", "/orders/{id}"]),
        ("method:POST", ["/graphql", "/orders"]),
        ("METHOD:post", ["/graphql", "/orders"]),
        ("method:put,get", ["/health", "/a b", "/orders/{id}"]),
        ("-method:POST -method:GET", ["/a b"]),
        ("status:4xx", ["/orders/{id}"]),
        ("status:404,5xx", ["/health", "/orders/{id}"]),
        ("status:none", ["/a b"]),
        ("status:none,4xx", ["/a b", "/orders/{id}"]),
        ("status:404,none", ["/a b", "/orders/{id}"]),
        ("-status:2xx", ["/health", "/a b"]),
        ("host:cdn", ["/health"]),
        ("-host:shop.example", ["/health", "/a b"]),
        ("path:/orders", ["/orders", "/orders/{id}"]),
        ("localhost:8080", ["/a b"]),
        ('"/a b"', ["/a b"]),
        ('path:"a b"', ["/a b"]),
        ("auth:none", ["/a b", "/orders"]),
        ("auth:jwt,api-key", ["/health", "/orders/{id}"]),
        ("auth:cookie", ["/graphql"]),
        ("kind:graphql", ["/graphql"]),
        ("kind:none", ["/health", "/a b", "/orders", "/orders/{id}"]),
        ("concern:any", ["/health", "/a b"]),
        ('concern:"dropped by"', ["/health", "/a b"]),
        ("format:uuid", ["/orders/{id}"]),
        ("password", ["/orders"]),
        ("new:30m", ["/orders/{id}"]),
        ("-new:30m", ["/health", "/a b", "/graphql", "/orders"]),
        ("new:1h status:404", ["/orders/{id}"]),
        ("seen:1m", ["/orders/{id}"]),
        ("new:3h", ["/a b", "/graphql", "/orders", "/orders/{id}"]),
        ('"', ["/health", "/a b", "/graphql", "/orders", "/orders/{id}"]),
        ("-", ["/health", "/a b", "/graphql", "/orders", "/orders/{id}"]),
    ],
)
def test_conditions(made: Inventory, text: str, paths: list[str]) -> None:
    """All conditions must hold, ignoring case; a term without a known key is a word."""
    assert [endpoint.path for endpoint in made.search(text, now=NOW).endpoints] == paths


@pytest.mark.parametrize("text", ["status:foo", "status:", "new:", "new:yesterday", "seen:1y", "-new:x"])
def test_a_condition_with_a_mistake_is_passed_over_and_named(made: Inventory, text: str) -> None:
    """A term with a mistake is ignored and named, and the others count."""
    found = filters.parse(f"{text} method:PUT")
    assert [endpoint.path for endpoint in made.search(found, now=NOW).endpoints] == ["/a b"]
    assert [bool(term.mistake) for term in found.terms] == [True, False]
    assert "takes" in found.terms[0].mistake


def test_facets_count_what_could_be_filtered_by(made: Inventory) -> None:
    """Each value has the number of endpoints that it would leave."""
    facets = filters.facets(made.endpoints())
    assert facets["method"] == [("GET", 2), ("POST", 2), ("PUT", 1)]
    assert facets["status"] == [("2xx", 3), ("4xx", 1), ("5xx", 1)]
    assert facets["auth"] == [("api-key", 1), ("cookie", 1), ("jwt", 1), ("none", 2)]
    assert facets["kind"] == [("graphql", 1)]
    assert dict(facets["concern"])["dropped by Akto"] == 2
    for key, values in facets.items():
        for value, count in values:
            assert made.search(f'{key}:"{value}"', now=NOW).total == count, (key, value)


@settings(deadline=None)
@given(st.text(st.sampled_from('abc:"- \tstauhmeod,4x1\u202e'), max_size=40))
def test_whatever_is_typed_is_a_filter(text: str) -> None:
    """No text raises an error, and each term is part of the text."""
    for term in filters.parse(text).terms:
        assert term.text in text
