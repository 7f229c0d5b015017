"""HTTP/3 through mitmdump in reverse mode."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.certs import make_identity
from tests.support.http3 import Client, Message, connected, serving_http3
from tests.support.mirror import headers, mirroring
from tests.support.proxy import DEADLINE, confdir

pytestmark = pytest.mark.e2e

JSON = [(b"content-type", b"application/json")]
CA = "mitmproxy-ca-cert.pem"


async def post_each(port: int, bodies: list[str]) -> list[Message]:
    """Post all bodies at once over one connection, each to a path with its number."""
    async with asyncio.timeout(DEADLINE), connected(port, "localhost", confdir() / CA) as client:
        return await asyncio.gather(*(_post(client, port, number, body) for number, body in enumerate(bodies)))


async def _post(client: Client, port: int, number: int, body: str) -> Message:
    return await client.ask("POST", f"localhost:{port}", f"/{number}", JSON, body.encode())


# The bytes of a body that are mirrored; longer JSON is cut and repaired.
LIMIT = 65_536


@pytest.mark.parametrize("scheme", ["http3", "https"])
def test_http3(scheme: str, tmp_path: Path) -> None:
    """Each stream of an HTTP/3 connection gets its own response, in both modes that accept HTTP/3."""
    identity = make_identity(tmp_path)
    trust = {"ssl_verify_upstream_trusted_ca": str(identity.ca)}
    bodies = [f'{{"number":{number}}}' for number in range(20)] + [json.dumps("x" * 300_000)]
    with serving_http3(identity) as port, mirroring(f"reverse:{scheme}://localhost:{port}", options=trust) as mirror:
        answers = asyncio.run(post_each(mirror.proxy.port, bodies))
    asked = f"localhost:{mirror.proxy.port}"
    assert [json.loads(answer.body) for answer in answers] == [
        {"host": f"localhost:{port}", "body": body} for body in bodies
    ]
    entries = {entry["path"]: entry for entry in mirror.akto.entries}
    assert {path: entry["requestPayload"] for path, entry in entries.items()} == {
        f"/{number}": body if len(body) < LIMIT else body[: LIMIT - 1] + '"' for number, body in enumerate(bodies)
    }
    assert {headers(entry, "requestHeaders")["host"] for entry in entries.values()} == {asked}
