"""Values of entries, read without errors."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.entries import reading


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ('{"Host":"h","X":7,"Y":null}', {"host": "h"}),
        ("[]", {}),
        ("{", {}),
        ("[" * 100_000, {}),
        (None, {}),
        ({"host": "h"}, {}),
    ],
)
def test_headers_are_a_json_object_of_texts(text: object, headers: dict[str, str]) -> None:
    """Headers with string values are kept, by lower-case names; other text is read as no headers."""
    assert dict(reading.read_headers(text)) == headers


@pytest.mark.parametrize(
    ("value", "seconds"), [("17", 17), ("-1", 0), ("1.5", 0), ("\u0661", 0), ("9" * 13, 0), (7, 0)]
)
def test_a_time_is_a_whole_number_of_seconds(value: object, seconds: int) -> None:
    """Other values are read as 0."""
    assert reading.seconds_of({"time": value}) == seconds
    assert reading.left_out_of({"akto_mirror_left_out": value}) == seconds


def test_an_endpoint_is_a_host_a_method_and_a_folded_path() -> None:
    """The query is not part of an endpoint."""
    entry = {"path": "/orders/17?page=2", "method": "get", "akto_vxlan_id": "7"}
    assert reading.key_of(entry, {"host": "Shop.Example"}) == ("shop.example", "GET", "/orders/{id}")
    assert reading.target_of(entry) == ("/orders/17", "page=2")
    host, _, _ = reading.key_of(entry, {"host": "10.0.0.7"})
    assert (host, reading.is_host(host)) == ("no host name (collection 7)", False)
    assert reading.is_host("shop.example")


def test_parameters_are_headers_of_the_api_s_own() -> None:
    """Headers that every client sends, that proxies add, or that authenticate are not parameters."""
    headers = {"x-tenant": "north", "accept": "x", "sec-fetch-site": "x", "cf-ray": "x", "x-api-key": "k"}
    assert reading.parameters(headers, ["x-api-key"]).keys() == {"x-tenant"}


def test_texts_can_be_carried_by_json() -> None:
    """Lone surrogates are replaced."""
    assert reading.clean("é\ud800") == "é?"
    assert reading.clean(7) == ""
    assert reading.status_of({"statusCode": "2000"}) == "200"
    assert reading.media_type(" Text/HTML ; charset=x") == "text/html"
