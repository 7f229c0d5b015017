"""The OpenAPI document of the demo's traffic: a client generated from it calls the sample API."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
import yaml
from openapi_spec_validator import validate

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from akto_mirror.demo import demo
from akto_mirror.ingestion.service import Receiver
from tests.support.entries import entry
from tests.support.mirror import mirroring

MIRRORED = [case.outcome for case in demo.CASES].count(demo.CAPTURED)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def api() -> Iterator[BackgroundServer]:
    """Run the sample API."""
    with BackgroundServer(sample_api.make_app()) as running:
        yield running


@pytest.fixture(scope="module")
def document(api: BackgroundServer) -> str:
    """Send the demo's requests through a real mitmdump, and get the sink's OpenAPI document."""
    with mirroring(f"reverse:{api.url}") as mirror:
        demo._send_all(mirror.proxy.port)
        mirror.akto.wait_for(MIRRORED, 60)
        return httpx.get(f"{mirror.akto.url}/openapi.yaml", trust_env=False, timeout=60).text


def test_the_demos_traffic_makes_a_valid_document(document: str) -> None:
    """The document has every mirrored endpoint, and the special ones are marked."""
    made = yaml.safe_load(document)
    validate(made)
    described = {(method.upper(), path) for path, item in made["paths"].items() for method in item}
    assert described == {
        (case.method, case.path.partition("?")[0].replace("/7", "/{productId}"))
        for case in demo.CASES
        if case.outcome == demo.CAPTURED
    }
    tags = {tag for item in made["paths"].values() for operation in item.values() for tag in operation.get("tags", ())}
    assert tags == {"WebSocket", "gRPC", "MCP"}


CALLS = """
import sys
sys.path.insert(0, sys.argv[1])
from shop_client import Client
from shop_client.api.default import get_api_products, get_api_products_by_product_id, post_api_orders
from shop_client.models import PostApiOrdersBody

client = Client(base_url=sys.argv[2], httpx_args={"trust_env": False})
products = get_api_products.sync(client=client)
assert [(each.id, each.name, each.price) for each in products] == [(7, "lamp", 19.5)], products
lamp = get_api_products_by_product_id.sync(7, client=client, all_="1")
assert lamp.name == "lamp", lamp
order = post_api_orders.sync(client=client, body=PostApiOrdersBody(product=7, count=2))
assert (order.order, order.state) == (1001, "accepted"), order
"""


def test_a_client_made_of_it_calls_the_api(document: str, api: BackgroundServer, tmp_path: Path) -> None:
    """The client of an independent generator has the API's operations, parameters and models."""
    pytest.importorskip("openapi_python_client", reason="openapi-python-client is not installed")
    (tmp_path / "api.yaml").write_text(document)
    (tmp_path / "config.yaml").write_text("project_name_override: shop-client\npost_hooks: []\n")
    made = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--path", "api.yaml", "--config", "config.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    called = subprocess.run(
        [sys.executable, "-c", CALLS, tmp_path / "shop-client", api.url], capture_output=True, text=True, check=False
    )
    assert called.returncode == 0, called.stderr


@pytest.fixture
def sink() -> Iterator[Receiver]:
    """Run a sink that has received entries of two hosts."""
    with Receiver() as running:
        for number in range(5):
            running.store.add(entry(f"/orders/{number}", responsePayload={"n": number}))
        running.store.add(entry("/b", host="b.example"))
        yield running


def get(server: Receiver, path: str) -> httpx.Response:
    """Send a GET to the sink."""
    return httpx.get(f"{server.url}{path}", trust_env=False, timeout=60)


def test_the_sink_describes_a_host_or_all(sink: Receiver) -> None:
    """The sink describes one host or all, equally in YAML and JSON."""
    assert set(yaml.safe_load(get(sink, "/openapi.yaml").text)["paths"]) == {"/b", "/orders/{orderId}"}
    only = get(sink, "/openapi.json?host=b.example")
    assert only.headers["content-type"] == "application/json"
    assert set(only.json()["paths"]) == {"/b"}
    assert only.json() == yaml.safe_load(get(sink, "/openapi.yaml?host=b.example").text)


def test_entries_are_downloaded(sink: Receiver) -> None:
    """All entries, or those of a host or an endpoint, can be downloaded, one per line or as HAR."""
    lines = get(sink, "/entries.ndjson").text.splitlines()
    assert [msgspec.json.decode(line)["path"] for line in lines] == [*(f"/orders/{n}" for n in range(5)), "/b"]
    assert get(sink, "/entries.ndjson").headers["content-disposition"] == 'attachment; filename="entries.ndjson"'
    urls = [each["request"]["url"] for each in get(sink, "/entries.har").json()["log"]["entries"]]
    assert urls == [*(f"https://shop.example/orders/{n}" for n in range(5)), "https://b.example/b"]
    assert len(get(sink, "/entries.ndjson?host=b.example").text.splitlines()) == 1
    number = next(each.number for each in sink.store.look(lambda all_: all_.endpoints()) if each.path != "/b")
    assert len(get(sink, f"/entries.har?id={number}").json()["log"]["entries"]) == 5
    assert get(sink, "/entries.har?id=99").status_code == 404


def test_clearing_forgets_all(sink: Receiver) -> None:
    """The inventory and the entries are cleared; those that arrive later are shown."""
    before = get(sink, "/api/inventory").json()
    assert httpx.delete(f"{sink.url}/api/entries", trust_env=False).status_code == 200
    after = get(sink, f"/api/inventory?version={before['version']}").json()
    assert (after["entries"], after["endpoints"], get(sink, "/entries.ndjson").text) == (0, 0, "")
    assert after["run"] != before["run"]
    sink.store.add(entry("/later"))
    assert get(sink, "/api/inventory").json()["page"][0]["path"] == "/later"
    assert [msgspec.json.decode(line)["path"] for line in get(sink, "/entries.ndjson").text.splitlines()] == ["/later"]


@pytest.mark.parametrize("path", ["/openapi.yaml", "/openapi.json", "/entries.ndjson", "/entries.har"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_only_who_may_read_gets_or_clears_them(path: str, method: str) -> None:
    """If a token is set it is required; a request under another site's host name is refused."""
    address = path if method == "GET" else "/api/entries"
    with Receiver(token="t") as guarded, Receiver() as local:
        for server in (guarded, local):
            server.store.add(entry("/secret"))
        assert httpx.request(method, f"{guarded.url}{address}", trust_env=False).status_code == 401
        evil = httpx.request(method, f"{local.url}{address}", headers={"host": "evil.example"}, trust_env=False)
        assert evil.status_code == 403
        assert "/secret" not in evil.text
        assert len(guarded.entries) == len(local.entries) == 1
        given = httpx.request(method, f"{guarded.url}{address}", headers={"authorization": "t"}, trust_env=False)
        assert given.status_code == 200


def test_two_samples_are_compared(sink: Receiver) -> None:
    """Samples are compared by number; one that is no longer kept gives a clear error."""
    number = next(each.number for each in sink.store.look(lambda all_: all_.endpoints()) if each.path != "/b")
    samples = get(sink, f"/api/inventory/endpoint?id={number}").json()["samples"]
    newer, older = samples[0]["number"], samples[1]["number"]
    found = get(sink, f"/api/inventory/differences?id={number}&older={older}&newer={newer}").json()["differences"]
    assert [(each["place"], each["name"]) for each in found] == [("path", ""), ("response", "n")]
    assert get(sink, f"/api/inventory/differences?id={number}&older=99&newer={newer}").status_code == 404
    assert samples[0]["curl"].startswith("curl https://shop.example/orders/4")


@pytest.mark.slow
def test_a_document_of_many_endpoints_takes_seconds() -> None:
    """A document of 5,000 endpoints is made while entries continue to arrive."""
    with Receiver() as server:
        for number in range(5_000):
            name = "".join(chr(97 + number // 26**place % 26) for place in range(3))
            server.store.add(
                entry(f"/{name}x/7", responsePayload={"id": 1, "items": [{"name": "x"}], "when": "2024-01-01"})
            )
        started = time.process_time()
        answer = get(server, "/openapi.yaml")
        assert time.process_time() - started < 30
        assert answer.text.count("operationId") == 5_000
