"""Plain HTTP through mitmdump: HTTP/1.1, HTTP/2 over TLS, and the replay of a saved flow file."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader, FlowWriter

from akto_mirror.ingestion.service import Receiver
from tests.support.api import serving_api
from tests.support.certs import make_identity
from tests.support.environment import bare
from tests.support.http2 import serving_http2
from tests.support.mirror import Entry, headers, mirroring, trust_proxy
from tests.support.proxy import ADDON, DEADLINE, MITMDUMP, confdir

pytestmark = [pytest.mark.e2e, pytest.mark.oldest]

# A time in the past, which the clock of a test run cannot return.
LONG_AGO = 1_000_000_000

JSON = {"content-type": "application/json"}


def test_http1() -> None:
    """Each HTTP/1.1 exchange passes through the proxy, and is mirrored with its content."""
    began = int(time.time())
    with serving_api() as target, mirroring(f"reverse:{target.url}") as mirror, httpx.Client(trust_env=False) as client:
        for number in range(20):
            url, sent = f"{mirror.proxy.url}/orders/{number}?a=b", f'{{"number":{number}}}'
            answer = client.post(url, content=sent, headers=JSON, timeout=DEADLINE)
            assert answer.json()["body"] == sent
    assert [entry["path"] for entry in mirror.akto.entries] == [f"/orders/{number}?a=b" for number in range(20)]
    for number, entry in enumerate(mirror.akto.entries):
        assert entry["requestPayload"] == f'{{"number":{number}}}'
        assert entry["responsePayload"].startswith('{"name": "api"')
        assert headers(entry, "requestHeaders")["host"] == f"127.0.0.1:{mirror.proxy.port}"
        assert (entry["method"], entry["statusCode"], entry["status"], entry["ip"]) == (
            "POST",
            "200",
            "OK",
            "127.0.0.1",
        )
        assert began <= int(entry["time"]) <= time.time()


async def post_at_once(base: str, bodies: Sequence[str]) -> list[httpx.Response]:
    """Post each body to a separate path on one HTTP/2 connection; threads would share its header encoder."""
    async with httpx.AsyncClient(http2=True, verify=trust_proxy(), trust_env=False, timeout=DEADLINE) as client:
        posts = (client.post(f"{base}/{n}", content=body, headers=JSON) for n, body in enumerate(bodies))
        return await asyncio.gather(*posts)


def test_http2(tmp_path: Path) -> None:
    """Each stream of an HTTP/2 connection gets its own response, and is mirrored with the authority."""
    identity = make_identity(tmp_path)
    trust = {"ssl_verify_upstream_trusted_ca": str(identity.ca)}
    with (
        serving_http2(identity) as port,
        mirroring(f"reverse:https://localhost:{port}", options=trust) as mirror,
    ):
        bodies = [f'{{"number":{n}}}' for n in range(40)]
        answers = asyncio.run(post_at_once(f"https://localhost:{mirror.proxy.port}", bodies))
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert [answer.json()["body"] for answer in answers] == bodies
    assert {answer.json()["host"] for answer in answers} == {f"localhost:{port}"}
    payloads = {entry["path"]: entry["requestPayload"] for entry in mirror.akto.entries}
    assert payloads == {f"/{n}": body for n, body in enumerate(bodies)}
    hosts = {headers(entry, "requestHeaders")["host"] for entry in mirror.akto.entries}
    assert hosts == {f"localhost:{mirror.proxy.port}"}


def replay(flows: Path, akto: Receiver, *more: str) -> str:
    """Replay a file of flows to an ingestion service, and return mitmdump's output after it has ended by itself."""
    options = (f"akto_url={akto.url}", f"confdir={confdir()}", "flow_detail=0", *more)
    settings = [word for option in options for word in ("--set", option)]
    command = [str(MITMDUMP), "-nr", str(flows), "-s", str(ADDON), *settings]
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        env=bare() | {"XDG_STATE_HOME": str(flows.parent / "state")},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def record(path: Path) -> list[Entry]:
    """Save some live flows to a file, and return their entries."""
    with serving_api() as target, mirroring(f"reverse:{target.url}", arguments=("-w", str(path))) as mirror:
        for size in (0, 10, 100_000):
            url = f"{mirror.proxy.url}/size/{size}"
            httpx.post(url, json="x" * size, timeout=DEADLINE, trust_env=False).raise_for_status()
    return mirror.akto.entries


def flows_in(path: Path) -> list[HTTPFlow]:
    """Read the flows of a file."""
    with path.open("rb") as file:
        return [flow for flow in FlowReader(file).stream() if isinstance(flow, HTTPFlow)]


def save(path: Path, flows: Sequence[HTTPFlow]) -> None:
    """Write flows to a file."""
    with path.open("wb") as file:
        writer = FlowWriter(file)
        for flow in flows:
            writer.add(flow)


def test_replay_gives_what_was_mirrored_live(tmp_path: Path) -> None:
    """A replayed flow has the same entry as when it was live: same time, same host, same payloads."""
    live = record(tmp_path / "flows")
    with Receiver() as akto:
        replay(tmp_path / "flows", akto)
        assert akto.entries == live
    assert len(live) == 3


def test_replay_ships_every_entry_with_its_own_time(tmp_path: Path) -> None:
    """All entries of a long file arrive, in order and with the original times, though the queue is small.

    A batch that would wait an hour for more entries is sent when the queue is full.
    """
    record(tmp_path / "flows")
    many = [flow.copy() for flow in flows_in(tmp_path / "flows")[:2] * 200]
    for number, flow in enumerate(many):
        assert flow.response
        flow.request.timestamp_start = flow.request.timestamp_end = LONG_AGO + number
        flow.response.timestamp_start = flow.response.timestamp_end = LONG_AGO + number
    save(tmp_path / "many", many)
    with Receiver() as akto:
        output = replay(tmp_path / "many", akto, "akto_queue_bytes=65536", "akto_linger_ms=3600000")
        assert [int(entry["time"]) for entry in akto.entries] == [LONG_AGO + number for number in range(400)]
    assert "captured 400 = shipped 400 + spooled 0" in output
