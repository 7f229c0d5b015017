"""Sampling through a real mitmdump: new facts arrive, little else does, and the rest is accounted for."""

from __future__ import annotations

import asyncio
import random
import re
import time

import httpx
import pytest

from akto_mirror.ingestion.inventory import Inventory
from tests.faults.load import Api
from tests.support import keptalive
from tests.support.mirror import Mirror, mirroring
from tests.support.proxy import Proxy

REQUESTS = 12_000
ENDPOINTS = 60
PARAMETERS = 6
CONNECTIONS = 8
WINDOW_S = 600
LAST_LINE = re.compile(r"akto: captured (\d+) = shipped (\d+) .*; skipped (\d+) \(sampled (\d+)\)")


def paths() -> list[str]:
    """Draw the requests: endpoints by Zipf's law, parameters that appear late, and a tenth of random paths."""
    draw = random.Random(3)
    names = [f"{first}{second}" for first in "abcdefgh" for second in ("orders", "users", "carts", "items") * 2]
    names = [f"{name}{'x' * (number // 32)}{'abcdefgh'[number % 8]}" for number, name in enumerate(names)][:ENDPOINTS]
    weights = [1 / rank for rank in range(1, len(names) + 1)]
    return [_path(draw, draw.choices(names, weights)[0], number) for number in range(REQUESTS)]


def _path(draw: random.Random, name: str, number: int) -> str:
    if draw.random() < 0.1:
        return f"/{''.join(draw.choices('bcdfghjklmnp', k=9))}/{''.join(draw.choices('bcdfghjklmnp', k=9))}"
    begun = number * PARAMETERS // REQUESTS
    query = f"?filter{'abcdef'[draw.randrange(begun + 1)]}=x" if draw.random() < 0.05 else ""
    return f"/api/{name}/{number}{query}"


def facts(path: str) -> set[tuple[str, ...]]:
    """Return the facts that a path shows: its endpoint and its parameter."""
    if not path.startswith("/api/"):
        return set()
    name, _, query = path.removeprefix("/api/").partition("?")
    endpoint = name.partition("/")[0]
    return {(endpoint,), (endpoint, query)}


async def send(proxy: Proxy, sent: list[str]) -> None:
    """Send requests over a few connections."""
    waiting = iter(sent)

    async def client() -> None:
        host, port = proxy.addresses[0]
        reader, writer = await asyncio.open_connection(host, port)
        for path in waiting:
            await keptalive.ask(reader, writer, f"GET {path} HTTP/1.1\r\nhost: api.example\r\n\r\n".encode())
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


def by_metrics(mirror: Mirror) -> int:
    """Return the number of exchanges left out over all endpoints."""
    address = next(line.rpartition(" ")[2] for line in mirror.proxy.log if "metrics at" in line)
    lines = httpx.get(address, trust_env=False).text.splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("akto_mirror_endpoint_left"))


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_new_arrives_and_the_rest_is_counted() -> None:
    """Each endpoint and parameter of 12,000 requests arrives, in far fewer entries; each request is accounted for."""
    sent = paths()
    started = time.monotonic()
    options = {
        "akto_sample": "novel",
        "akto_sample_window_s": str(WINDOW_S),
        "akto_include_query": "true",
        "akto_metrics": "127.0.0.1:0",
    }
    with Api() as api, mirroring(f"reverse:http://127.0.0.1:{api.port}", options=options) as mirror:
        asyncio.run(send(mirror.proxy, sent))
        left_out = by_metrics(mirror)
    entries = mirror.akto.entries
    found = set[tuple[str, ...]]().union(*(facts(entry["path"]) for entry in entries))
    assert found == set[tuple[str, ...]]().union(*map(facts, sent))
    captured, shipped, skipped, sampled = map(int, LAST_LINE.search("\n".join(mirror.proxy.log)).groups())  # type: ignore[union-attr]
    assert captured == shipped == len(entries)
    assert captured + skipped == REQUESTS
    assert left_out == sampled == skipped
    invented = sum(not entry["path"].startswith("/api/") for entry in entries)
    # Windows follow the same clock; one that begins in the middle of the run ships its first few exchanges again.
    windows = int(time.monotonic() // WINDOW_S - started // WINDOW_S) + 1
    assert len(entries) - invented <= ENDPOINTS * (5 * windows + 1 + PARAMETERS)
    inventory = Inventory()
    for entry in entries:
        inventory.add(entry)
    reported = sum(endpoint.left_out for endpoint in inventory.endpoints())
    assert 0 < reported <= sampled
