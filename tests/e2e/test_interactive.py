"""mitmweb with the addon: it mirrors, shows bodies, and rejects wrong values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion.service import Receiver
from tests.support.mirror import Mirror
from tests.support.mitmweb import Web, running_mitmweb


class _Api(RequestHandler):
    """Answers with chunked JSON, which streams because its length is unknown."""

    async def get(self, _path: str) -> None:
        self.set_header("Content-Type", "application/json")
        for chunk in (b'{"name":', b'"lamp"}'):
            self.write(chunk)
            await self.flush()


@dataclass(frozen=True)
class Watched(Mirror):
    """A mirror whose proxy is a mitmweb."""

    web: Web


@pytest.fixture
def mirror() -> Iterator[Watched]:
    """A mitmweb that mirrors a small API."""
    with (
        BackgroundServer(Application([("(.*)", _Api)])) as api,
        Receiver() as akto,
        running_mitmweb(api.url, {"akto_url": akto.url, "akto_linger_ms": "10"}) as web,
    ):
        yield Watched(web.proxy, akto, web)


@pytest.mark.e2e
def test_mitmweb_shows_the_body(mirror: Watched) -> None:
    """The flow in mitmweb has its body, although the body was streamed."""
    assert httpx.get(f"{mirror.proxy.url}/lamps").json() == {"name": "lamp"}
    assert mirror.entry("/lamps")["responsePayload"] == '{"name":"lamp"}'
    with mirror.web.client() as client:
        (flow,) = client.get("/flows").raise_for_status().json()
        body = client.get(f"/flows/{flow['id']}/response/content.data").raise_for_status()
    assert body.content == b'{"name":"lamp"}'


@pytest.mark.e2e
def test_a_wrong_value_in_mitmweb_changes_nothing(mirror: Watched) -> None:
    """An invalid value is refused with a reason, and the destination stays the same."""
    with mirror.web.client() as client:
        refused = client.put("/options", json={"akto_url": "gopher://nowhere"})
        assert refused.status_code == 400
        assert "akto_url=gopher://nowhere: " in refused.text
        assert "the old value stays in force" in refused.text
        options: dict[str, Any] = client.get("/options").json()
        assert options["akto_url"]["value"] == mirror.akto.url
    httpx.get(f"{mirror.proxy.url}/after")
    assert mirror.entry("/after")["statusCode"] == "200"


@pytest.mark.e2e
def test_a_new_destination_in_mitmweb_takes_effect(mirror: Watched) -> None:
    """A changed akto_url is used from the next batch on."""
    with Receiver() as other, mirror.web.client() as client:
        client.put("/options", json={"akto_url": other.url}).raise_for_status()
        httpx.get(f"{mirror.proxy.url}/moved")
        Mirror(mirror.proxy, other).entry("/moved")
    assert list(mirror.akto.entries) == []
