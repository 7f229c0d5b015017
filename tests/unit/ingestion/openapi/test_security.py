"""Authentication as OpenAPI security schemes."""

from __future__ import annotations

from akto_mirror.ingestion.entries.auth import API_KEY, JWT, Auth
from akto_mirror.ingestion.openapi.security import name_of, requirements, scheme

BEARER = Auth("bearer", "header", "authorization", "bearer")
TOKEN = Auth(JWT, "header", "authorization", "bearer")
KEY = Auth(API_KEY, "query", "api key\u202e")


def test_a_scheme_has_a_name_that_openapi_allows() -> None:
    """Names have only allowed characters; a JWT is a bearer token with its own name."""
    assert [name_of(auth) for auth in (BEARER, TOKEN, KEY)] == ["bearer", "bearerJwt", "query-api-key"]
    assert name_of(Auth(API_KEY, "header", "\u202e")) == "header-unnamed"
    assert scheme(TOKEN) == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert scheme(KEY) == {"type": "apiKey", "in": "query", "name": "api key\u202e"}


def test_requests_without_any_make_it_optional() -> None:
    """Each combination is listed once; without any, there is no requirement."""
    assert requirements({(BEARER,): 3, (): 1, (BEARER, KEY): 1}) == [
        {"bearer": []},
        {},
        {"bearer": [], "query-api-key": []},
    ]
    assert requirements({(): 5}) == []
