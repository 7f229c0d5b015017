"""gRPC without TLS through mitmdump, between @grpc/grpc-js peers, and between grpc-js and grpcio."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.grpcpayload import merged
from tests.support.grpcpeer import EchoService, channel, path, serving_grpc
from tests.support.mirror import headers, mirroring
from tests.support.notes import Note
from tests.support.npm import install
from tests.support.proxy import DEADLINE, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SCRIPT = ROOT / "tests" / "support" / "grpcpeer.mjs"
GRPC_JS = "1.14.7"
LIMIT = 65_536


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install grpc-js, or skip the tests if node, npm or a registry is missing."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    return install(f"@grpc/grpc-js@{GRPC_JS}", tmp_path_factory.mktemp("node"))


@contextmanager
def serving(modules: Path) -> Iterator[int]:
    """Run a grpc-js target on a free port, which is yielded."""
    with subprocess.Popen(["node", SCRIPT, modules, "serve"], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout
        try:
            yield int(node.stdout.readline())
        finally:
            node.kill()


def called(modules: Path, port: int, ping_ms: int) -> dict[str, Any]:
    """Make every kind of call with a grpc-js client, which also sends pings, and return the results."""
    command = ["node", str(SCRIPT), str(modules), "call", str(port), str(ping_ms)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE)
    results: dict[str, Any] = json.loads(done.stdout)
    return results


NUMBERS = [str(number) for number in range(500)]


MANY = {"Unary": ["hello"], "Repeat": ["again"], "Gather": ["one", "two"], "Echo": ["one", "two", "three"]}


@pytest.mark.parametrize("target", ["grpc-js", "grpcio"])
def test_client_of_node(modules: Path, target: str) -> None:
    """Each kind of call has the same result as without the proxy, and is one entry whose messages can be decoded."""
    peer = serving(modules) if target == "grpc-js" else serving_grpc(EchoService(), None)
    with peer as port, mirroring(f"reverse:http://127.0.0.1:{port}") as mirror:
        direct = called(modules, port, 60_000)  # A target rejects frequent pings; mitmproxy answers them itself.
        assert called(modules, mirror.proxy.port, 100) == direct
        address = f"localhost:{mirror.proxy.port}"
    assert direct["Unary"] == {"value": "\x12\x05hello"}
    assert direct["Fill"] == {"length": 8 * 1024 * 1024}
    assert direct["Nothing"]["code"] == 12
    assert direct["Cancelled"] == {"parts": ["first"], "code": 1}
    assert direct["Deadline"] == {"parts": ["late"], "code": 4}
    assert direct["Echo"] == {"parts": ["\x12\x03one", "\x12\x03two", "\x12\x05three"], "code": 0}
    assert [each.replace("\x12", "") for each in direct["many"]] == ["\x03one,\x03two,\x05three"] * 90
    counts = Counter(entry["path"] for entry in mirror.akto.entries)
    once = ("Unary", "Fail", "Fill", "Nothing", "Count", "Repeat", "Join", "Gather")
    assert counts == dict.fromkeys(map(path, once), 1) | {path("Endless"): 2, path("Echo"): 91}
    for entry in mirror.akto.entries:
        assert (entry["method"], entry["statusCode"]) == ("POST", "200")
        assert headers(entry, "requestHeaders")["host"] == address
    for name, many in MANY.items():
        for entry in mirror.entries(path(name)):
            assert Note.FromString(merged(entry, "requestPayload")).many == many
            assert Note.FromString(merged(entry, "responsePayload")).many == many * (3 if name == "Repeat" else 1)
    assert merged(mirror.entry(path("Count")), "responsePayload") == "".join(NUMBERS).encode()
    assert merged(mirror.entry(path("Join")), "requestPayload") == "".join(NUMBERS[:100]).encode()
    assert merged(mirror.entry(path("Fill")), "responsePayload") == bytes(LIMIT // 4 * 3 - 5)
    ends = [merged(entry, "responsePayload") for entry in mirror.entries(path("Endless"), 2)]
    assert ends == [b"first", b"late"]


def test_target_of_node(modules: Path) -> None:
    """A grpcio client gets its calls answered by a grpc-js target."""
    with (
        serving(modules) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}") as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        answers = opened.stream_stream(path("Echo"))(iter([b"one", b"two"]), timeout=DEADLINE)
        assert list(answers) == [b"one", b"two"]
        assert merged(mirror.entry(path("Echo")), "responsePayload") == b"onetwo"
