"""gRPC without TLS through mitmdump, between peers of @grpc/grpc-js, and between those and grpcio."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.grpcpayload import merged
from tests.support.grpcpeer import EchoService, channel, path, serving_grpc
from tests.support.mirror import mirroring
from tests.support.npm import install
from tests.support.proxy import DEADLINE, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SCRIPT = ROOT / "tests" / "support" / "grpcpeer.mjs"
GRPC_JS = "1.14.7"
LIMIT = 65_536


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install grpc-js, or skip where there is no node, npm or registry."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    return install(f"@grpc/grpc-js@{GRPC_JS}", tmp_path_factory.mktemp("node"))


@contextmanager
def serving(modules: Path) -> Iterator[int]:
    """Run a target of grpc-js on a free port, which is yielded."""
    with subprocess.Popen(["node", SCRIPT, modules, "serve"], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout
        try:
            yield int(node.stdout.readline())
        finally:
            node.kill()


def called(modules: Path, port: int, ping_ms: int) -> dict[str, Any]:
    """Make every kind of call with a client of grpc-js, which sends pings meanwhile, and return what came of them."""
    command = ["node", str(SCRIPT), str(modules), "call", str(port), str(ping_ms)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE)
    results: dict[str, Any] = json.loads(done.stdout)
    return results


NUMBERS = [str(number) for number in range(500)]


@pytest.mark.parametrize("target", ["grpc-js", "grpcio"])
def test_client_of_node(modules: Path, target: str) -> None:
    """Each kind of call comes to what it comes to without the proxy, and is mirrored."""
    peer = serving(modules) if target == "grpc-js" else serving_grpc(EchoService(), None)
    with peer as port, mirroring(f"reverse:http://127.0.0.1:{port}") as mirror:
        direct = called(modules, port, 60_000)  # A target complains of many pings; mitmproxy answers them itself.
        assert called(modules, mirror.proxy.port, 100) == direct
        mirror.entries(path("Echo"), 91)
    assert direct["Unary"] == {"value": "hello"}
    assert direct["Fill"] == {"length": 8 * 1024 * 1024}
    assert direct["Nothing"]["code"] == 12
    assert direct["Cancelled"] == {"parts": ["first"], "code": 1}
    assert direct["Deadline"] == {"parts": ["late"], "code": 4}
    assert direct["Echo"] == {"parts": ["one", "two", "three"], "code": 0}
    assert direct["many"] == ["one,two,three"] * 90
    assert merged(mirror.entry(path("Unary")), "responsePayload") == b"hello"
    assert merged(mirror.entry(path("Count")), "responsePayload") == "".join(NUMBERS).encode()
    assert merged(mirror.entry(path("Join")), "requestPayload") == "".join(NUMBERS[:100]).encode()
    assert merged(mirror.entry(path("Fill")), "responsePayload") == bytes(LIMIT // 4 * 3 - 5)
    ends = [merged(entry, "responsePayload") for entry in mirror.entries(path("Endless"), 2)]
    assert ends == [b"first", b"late"]
    chats = [merged(entry, "requestPayload") for entry in mirror.entries(path("Echo"), 91)]
    assert chats == [b"onetwothree"] * 91


def test_target_of_node(modules: Path) -> None:
    """A client of grpcio has its calls answered by a target of grpc-js."""
    with (
        serving(modules) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}") as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        answers = opened.stream_stream(path("Echo"))(iter([b"one", b"two"]), timeout=DEADLINE)
        assert list(answers) == [b"one", b"two"]
        assert merged(mirror.entry(path("Echo")), "responsePayload") == b"onetwo"
