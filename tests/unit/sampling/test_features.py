"""Features of exchanges, by the names, types and bounds of the inventory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.ingestion.entries.fields import read_payload
from akto_mirror.ingestion.entries.shapes import Learner, Room, Shape, rows
from akto_mirror.sampling import features
from akto_mirror.sampling.features import WEBSOCKET, Head
from akto_mirror.sampling.payloads import NOTHING

EMPTY = NOTHING
JSON = {"content-type": "application/json"}
PLAIN = Head("api.example", "POST", "/orders", "", 200, "", JSON, JSON)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
NAMES = st.sampled_from(["a", "b", "name", "17", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "user_id"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def shown(value: Any) -> set[tuple[str, int]]:
    """Return the fields and types that the inventory shows for a JSON value."""
    shape = Shape()
    learner = Learner(Room(10_000, 10_000), lambda _: True)
    for each in read_payload(json.dumps(value), "application/json").values:
        learner.learn(shape, each)
    return {(row.name, row.types) for row, _ in rows(shape, 1)}


def of(value: Any) -> set[int]:
    """Return the features of a JSON request."""
    return features.of_payloads(PLAIN, read_payload(json.dumps(value), "application/json"), EMPTY).features()


@given(VALUES, VALUES)
def test_what_the_inventory_distinguishes_has_other_features(first: Any, second: Any) -> None:
    """Two payloads with the same features have the same fields and types in the inventory."""
    if of(first) == of(second):
        assert shown(first) == shown(second)


@given(VALUES, VALUES)
def test_what_has_other_features_has_another_digest(first: Any, second: Any) -> None:
    """Different features have different digests, so that nothing new is missed."""
    digests = {
        features.of_payloads(PLAIN, read_payload(json.dumps(value), "application/json"), EMPTY).digest()
        for value in (first, second)
    }
    assert len(digests) == 2 or of(first) == of(second)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 201},
        {"type": WEBSOCKET},
        {"query": "page=1"},
        {"query": "page=first"},
        {"request": JSON | {"authorization": "Bearer x"}},
        {"request": JSON | {"authorization": "Basic eDp5"}},
        {"request": JSON | {"cookie": "sessionid=1"}},
        {"request": JSON | {"x-api-key": "1"}},
        {"request": JSON | {"x-tenant": "a"}},
        {"request": {"content-type": "application/xml"}},
        {"response": {"content-type": "text/csv"}},
    ],
)
def test_a_head_shows_it(changes: dict[str, Any]) -> None:
    """Each of these heads has a feature that the plain head does not have."""
    assert features.of_head(PLAIN._replace(**changes)).features() - features.of_head(PLAIN).features()


@pytest.mark.parametrize(
    "headers", [{"user-agent": "curl/8"}, {"x-forwarded-for": "10.0.0.1"}, {"content-type": "Application/JSON; a=b"}]
)
def test_what_every_client_sends_is_nothing_new(headers: dict[str, str]) -> None:
    """Common headers and the parameters of a content type are not features, as in the inventory."""
    assert features.of_head(PLAIN._replace(request=JSON | headers)) == features.of_head(PLAIN)


def test_a_response_counts_by_its_status() -> None:
    """Fields count separately for each status: those of an error are not those of a success."""
    answer = read_payload(json.dumps({"id": 1}), "application/json")
    assert features.of_payloads(PLAIN, EMPTY, answer) != features.of_payloads(PLAIN._replace(status=201), EMPTY, answer)


def test_operations_are_features() -> None:
    """Operations of GraphQL, JSON-RPC and MCP, and fields of gRPC, are features."""
    calls = [
        {"query": "query Orders { a }"},
        {"query": "query Users { a }"},
        {"jsonrpc": "2.0", "method": "add"},
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "forecast"}},
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "history"}},
    ]
    assert len({frozenset(of(call)) for call in calls}) == len(calls)
    grpc = PLAIN._replace(request={"content-type": "application/grpc"})
    call = read_payload("AAAAAAIIAQ==", "application/grpc")
    assert features.of_payloads(grpc, call, EMPTY).features() - features.of_payloads(grpc, EMPTY, EMPTY).features()


def test_one_payload_has_a_bounded_number_of_features() -> None:
    """The number of features is bounded, for wide and for deep payloads."""
    assert len(of({f"field-{number}": number for number in range(50_000)})) <= 2_010
    assert len(of([[{"a" * depth: number} for number in range(50)] for depth in range(500)])) <= 2_010
    deep = json.dumps({"a": 1})
    for _ in range(200):
        deep = f'{{"a":{deep}}}'
    assert len(of(json.loads(deep))) <= 20


def test_names_of_headers_that_are_remembered_are_few() -> None:
    """The number of remembered header names is bounded."""
    for number in range(2_000):
        features.of_head(PLAIN._replace(request=JSON | {f"x-{number}": "1"}))
        features.of_head(PLAIN._replace(request=JSON | {f"x-{number}" * 1_000: "1"}))
    assert len(features._known_names) <= features.KNOWN


def test_objects_that_are_remembered_are_few() -> None:
    """The number of remembered objects is bounded."""
    for number in range(3_000):
        of({f"x{number}": {}})
        of({f"x{number}{each}": {} for each in range(features.MAX_NESTED + 1)})
    assert len(features._known_objects) <= features.KNOWN_OBJECTS
    assert max(map(len, features._known_objects.values())) <= features.MAX_NESTED
