"""The sample shop's API answers each request as its table says."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Serve the API, and return a client that follows no redirects."""
    with (
        BackgroundServer(sample_api.make_app()) as api,
        httpx.Client(base_url=api.url, trust_env=False) as made,
    ):
        yield made


@pytest.mark.parametrize("asked", sample_api.ANSWERS)
def test_a_request_gets_its_answer(asked: str, client: httpx.Client) -> None:
    """The response has the status, content type, headers and body of the table."""
    wanted = sample_api.ANSWERS[asked]
    with client.stream(*asked.split()) as response:
        assert b"".join(response.iter_raw()) == wanted.body
    assert response.status_code == wanted.status
    assert response.headers.get("content-type", "").partition(";")[0] == wanted.content_type
    assert {name: response.headers[name] for name, _ in wanted.headers} == dict(wanted.headers)


def test_what_is_not_there_is_a_404(client: httpx.Client) -> None:
    """Unknown paths are answered with 404, for any method."""
    assert {client.request(method, "/nowhere").status_code for method in ("GET", "POST", "DELETE")} == {404}
