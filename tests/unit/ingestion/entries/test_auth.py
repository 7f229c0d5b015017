"""The kind of authentication is recognised in headers, cookies and the query."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion.entries.auth import Auth, recognise
from tests.support.entries import JWT, entry, folded


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, []),
        ({"authorization": ""}, []),
        ({"authorization": "Bearer abc"}, [("bearer", "authorization")]),
        ({"authorization": "Bearer [redacted]"}, [("bearer", "authorization")]),
        ({"authorization": f"bearer {JWT}"}, [("jwt", "authorization")]),
        ({"authorization": JWT}, [("jwt", "authorization")]),
        ({"authorization": "[redacted]"}, [("authorization", "authorization")]),
        ({"authorization": "Basic YTpi"}, [("basic", "authorization")]),
        ({"authorization": 'Digest username="a"'}, [("digest", "authorization")]),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x"}, [("aws4", "authorization")]),
        ({"authorization": "secret word"}, [("authorization", "authorization")]),
        ({"x-api-key": "k"}, [("api-key", "x-api-key")]),
        ({"apikey": "k"}, [("api-key", "apikey")]),
        ({"ocp-apim-subscription-key": "k"}, [("api-key", "ocp-apim-subscription-key")]),
        ({"x-auth-token": JWT}, [("jwt", "x-auth-token")]),
        ({"x-user": JWT}, [("jwt", "x-user")]),
        ({"cookie": "theme=dark; lang=en"}, []),
        ({"cookie": "theme=dark; sessionid=[redacted]"}, [("cookie", "sessionid")]),
        ({"cookie": "JSESSIONID=1"}, [("cookie", "JSESSIONID")]),
        ({"cookie": "connect.sid=1; __Host-session=2"}, [("cookie", "connect.sid"), ("cookie", "__Host-session")]),
        ({"cookie": f"x={JWT}"}, [("cookie", "x")]),
        ({"cookie": "sessionid="}, []),
        ({"x-csrf-token": "t", "x-request-id": "r"}, []),
        ({"authorization": "Bearer a", "x-api-key": "k"}, [("bearer", "authorization"), ("api-key", "x-api-key")]),
    ],
)  # fmt: skip
def test_headers_and_cookies(headers: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """Masked values keep their kind, and names that only look like a key's do not count."""
    assert [(found.kind, found.name) for found in recognise(headers, {})] == expected


@pytest.mark.parametrize(
    ("name", "found"), [("api_key", True), ("access_token", True), ("key", False), ("page", False)]
)
def test_the_query(name: str, found: bool) -> None:
    """Keys are recognised in the query too, although they are logged there."""
    assert recognise({}, {name: "v"}) == ((Auth("api-key", "query", name),) if found else ())


def test_an_endpoint_has_the_kinds_of_its_entries() -> None:
    """Kinds are ordered by frequency, with `none` for requests without authentication."""
    bearer = {"authorization": "Bearer a"}
    (endpoint,) = folded(entry(headers=bearer), entry(headers=bearer), entry()).endpoints()
    assert endpoint.auth_kinds == ["bearer", "none"]
    assert "authorization" in endpoint.text


@pytest.mark.parametrize("value", ["-" * 100_000, "session" * 20_000, "eyJ" + "a" * 100_000, "_sid" * 30_000])
def test_hostile_values_cost_little(value: str) -> None:
    """Long cookies and headers are searched once."""
    recognise({"cookie": f"{value}=1; " * 3, "authorization": value, "x-any": value}, {value: value})
