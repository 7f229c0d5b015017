"""Paths with their ids folded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror import path_templates

UUID = "550e8400-e29b-41d4-a716-446655440000"


ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.parametrize(
    "segment",
    [
        *("0", "17", "-3", "1,2,3", "18446744073709551616", UUID, UUID.upper(), UUID.replace("-", "")),
        *("deadbeefdeadbeef", "4bf92f3577b34da6a3ce929d0e0e4736", ULID, ULID.lower(), "cus_NffrFeUfNV2Hib"),
        *("ann@example.com", "ann%40example.com", "2024-01-31", "2024-01-31T10:20:30Z", "192.168.10.12", "AB-12345"),
        *("xJ3kQ9vT2mZ7pL5w", "1a2b3c4d5e6f7g8h9", "x" * 101),
    ],
)
def test_ids_are_folded(segment: str) -> None:
    """Numbers, UUIDs, hashes, ULIDs, tokens, addresses and dates are ids."""
    assert path_templates.fold_path(f"/v1/{segment}/items") == "/v1/{id}/items"


@pytest.mark.parametrize(
    "segment",
    [
        *("", "orders", "v1", "v2.0.1", "v1beta1", "oauth2", "s3", "utf-8", "sha-256", "deadbeef", "@types", "{id}"),
        *("shop.Stock", "how-to-build-an-api", "internationalization", "base64", "step-1", "getOrderById2", "%20"),
    ],
)
def test_words_are_not_folded(segment: str) -> None:
    """Words that an author would have named are not folded, with or without digits."""
    assert path_templates.fold_path(f"/a/{segment}/b") == f"/a/{segment}/b"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/img/1234.png", "/img/{id}.png"),
        (f"/files/report-{UUID}.pdf", "/files/report-{id}.pdf"),
        ("/" + "a/" * 40, "/" + "a/" * 31 + "…"),
        ("", ""),
        ("*", "*"),
    ],
)
def test_the_rest_of_a_path_stays(path: str, expected: str) -> None:
    """Extensions, and words around a UUID, are kept; a path of many segments is cut."""
    assert path_templates.fold_path(path) == expected


@settings(max_examples=100, deadline=None)
@given(st.text("/ab1-_.%{}@é", max_size=80))
def test_folding_is_done_once_and_for_all(path: str) -> None:
    """Folding is idempotent, and keeps the number of segments up to the limit."""
    once = path_templates.fold_path(path)
    assert path_templates.fold_path(once) == once
    assert once.count("/") == min(path.count("/"), path_templates.MAX_SEGMENTS)


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/orders/17/items/a%20b", ["17"]),
        (f"/files/report-{UUID}.pdf", [UUID]),
        ("/img/1234.png/ann%40example.com", ["1234", "ann@example.com"]),
        ("/orders", []),
    ],
)
def test_ids_are_what_was_folded(path: str, ids: list[str]) -> None:
    """The ids are returned decoded, one for each `{id}`."""
    assert path_templates.ids_of(path) == ids
    assert path_templates.fold_path(path).count(path_templates.ID) == len(ids)
