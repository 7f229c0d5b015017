"""Every recipe in examples/ is run, with only its addresses and files replaced."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
import ruamel.yaml
from tornado.web import Application, RequestHandler

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion.service import Receiver
from tests.support.certs import make_identity
from tests.support.environment import bare
from tests.support.mirror import Mirror
from tests.support.proxy import ADDON, AT_ONCE, MITMDUMP, running, running_mitmdump
from tests.support.recipes import CONFDIR, EXAMPLES, PATH, in_front_of, recipe


@pytest.mark.e2e
def test_reverse(api: str) -> None:
    """reverse.sh mirrors the traffic of one API."""
    with recipe("reverse.sh", env=in_front_of(api)) as mirror:
        httpx.get(f"{mirror.proxy.url}/api/products")
        assert "lamp" in mirror.entry("/api/products")["responsePayload"]


@pytest.mark.e2e
def test_several_apis(api: str) -> None:
    """several-apis.sh serves two APIs, and the entries name the host that each client requested."""
    addresses = {"ORDERS": api, "STOCK": api, "ORDERS_LISTEN": "127.0.0.1:0", "STOCK_LISTEN": "127.0.0.2:0"}
    with recipe("several-apis.sh", "127.0.0.1", "127.0.0.2", env=addresses) as mirror:
        for host, port in mirror.proxy.addresses:
            httpx.get(f"http://{host}:{port}/api/products", headers={"host": f"api-{host}.example"})
        entries = mirror.entries("/api/products", 2)
    assert {json.loads(entry["requestHeaders"])["host"] for entry in entries} == {
        "api-127.0.0.1.example",
        "api-127.0.0.2.example",
    }


@pytest.mark.e2e
def test_mcp_server(api: str) -> None:
    """mcp-server.sh mirrors the MCP endpoint with its tag, and nothing else."""
    with recipe("mcp-server.sh", env=in_front_of(api)) as mirror:
        httpx.get(f"{mirror.proxy.url}/api/products")
        httpx.post(f"{mirror.proxy.url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        entry = mirror.entry("/mcp")
    assert json.loads(entry["tag"])["service"] == "mcp"
    assert len(mirror.akto.entries) == 1


@pytest.mark.e2e
def test_tls(tmp_path: Path) -> None:
    """tls.sh serves a custom certificate and verifies the target with a custom authority."""
    identity = make_identity(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(identity.key.read_bytes() + identity.cert.read_bytes())
    with BackgroundServer(sample_api.make_app(), ssl_context=identity.server_context()) as server:
        env = {"TARGET": server.url, "LISTEN": "127.0.0.1:0", "CERTIFICATE": str(both), "UPSTREAM_CA": str(identity.ca)}
        with recipe("tls.sh", env=env) as mirror:
            trust = ssl.create_default_context(cafile=str(identity.ca))
            answer = httpx.get(f"https://localhost:{mirror.proxy.port}/api/products", verify=trust)
            assert answer.status_code == 200
            assert mirror.entry("/api/products")["statusCode"] == "200"


@pytest.mark.e2e
@pytest.mark.slow  # In the default run tests/e2e/test_mitmweb.py covers it.
def test_mitmweb(api: str) -> None:
    """mitmweb.sh mirrors the flows that it shows."""
    quiet = ("--set", "web_open_browser=false", "--set", "web_port=0")
    with recipe("mitmweb.sh", env=in_front_of(api), arguments=quiet) as mirror:
        httpx.get(f"{mirror.proxy.url}/feed")
        assert mirror.entry("/feed")["statusCode"] == "200"


@pytest.mark.e2e
def test_unix_socket(api: str, tmp_path: Path) -> None:
    """unix-socket.sh delivers through a Unix socket."""
    socket = tmp_path / "ingest.sock"
    with Receiver(uds=socket) as akto:
        command = ["sh", str(EXAMPLES / "unix-socket.sh"), *CONFDIR]
        env = {"PATH": PATH, "TARGET": api, "LISTEN": "127.0.0.1:0", "SOCKET": str(socket)}
        with running(command, ["127.0.0.1"], env) as proxy:
            httpx.get(f"{proxy.url}/api/products")
            assert Mirror(proxy, akto).entry("/api/products")["method"] == "GET"


@pytest.fixture
def recorded(api: str, tmp_path: Path) -> Path:
    """A file of two flows, one of which is mirrored."""
    flows = tmp_path / "flows.mitm"
    with running_mitmdump(f"reverse:{api}", scripts=(), arguments=("-w", str(flows))) as proxy:
        httpx.get(f"{proxy.url}/api/products")
        httpx.get(f"{proxy.url}/logo.png")
    return flows


def replayed(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run replay.sh in a folder."""
    return subprocess.run(
        ["sh", str(EXAMPLES / "replay.sh"), *arguments],
        env=bare() | {"PATH": PATH} | env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def paths(file: Path) -> list[str]:
    """Return the paths of the entries in a file."""
    return [json.loads(line)["path"] for line in file.read_text().splitlines()]


@pytest.mark.e2e
def test_replay(recorded: Path, tmp_path: Path) -> None:
    """replay.sh writes the entries of recorded flows to a file, the same in each run, or sends them to Akto."""
    for _ in range(2):
        assert replayed(tmp_path).returncode == 0
        assert paths(tmp_path / "entries.ndjson") == ["/api/products"]
    with Receiver() as akto:
        assert replayed(tmp_path, AKTO_DATA_INGESTION_URL=akto.url, FLOWS=str(recorded)).returncode == 0
        assert len(akto.entries) == 1
        for out in ("other.ndjson", str(tmp_path / "absolute.ndjson")):
            assert replayed(tmp_path, AKTO_DATA_INGESTION_URL=akto.url, OUT=out).returncode == 0
            assert paths(tmp_path / out) == ["/api/products"]
        assert len(akto.entries) == 1


@pytest.mark.e2e
def test_replay_reports_what_is_wrong(recorded: Path, tmp_path: Path) -> None:
    """replay.sh fails for a missing or broken file and for an entry that does not arrive, and names them."""
    (tmp_path / "broken.mitm").write_bytes(recorded.read_bytes() + b"17:no flow")
    for flows in ("none.mitm", "broken.mitm"):
        done = replayed(tmp_path, FLOWS=flows)
        assert done.returncode == 1
        assert flows in done.stdout + done.stderr
    assert paths(tmp_path / "entries.ndjson") == ["/api/products"]
    with Receiver(token="another") as akto:
        done = replayed(tmp_path, AKTO_DATA_INGESTION_URL=akto.url)
    assert done.returncode == 1
    assert "401" in done.stdout + done.stderr


@pytest.mark.e2e
def test_config(api: str, tmp_path: Path) -> None:
    """config.yaml is read from mitmproxy's folder: routes, filter, tag and client address take effect."""
    with Receiver() as akto:
        given = ruamel.yaml.YAML(typ="safe").load(EXAMPLES / "config.yaml")
        changed = {"mode": [f"reverse:{api}@127.0.0.1:0"], "scripts": [str(ADDON)], "akto_url": akto.url}
        assert changed.keys() <= given.keys()
        (tmp_path / "config.yaml").write_text(json.dumps(given | changed))
        command = [*AT_ONCE, str(MITMDUMP), "--set", f"confdir={tmp_path}"]
        with running(command, ["127.0.0.1"]) as proxy:
            httpx.get(f"{proxy.url}/feed")
            httpx.get(f"{proxy.url}/api/products?page=2", headers={"x-forwarded-for": "203.0.113.9, 10.0.0.1"})
            entry = Mirror(proxy, akto).entry("/api/products?page=2")
    assert entry["ip"] == "203.0.113.9"
    assert json.loads(entry["tag"]) == {"service": "shop", "env": "production"}
    assert len(akto.entries) == 1


@pytest.mark.e2e
def test_whole_bodies() -> None:
    """whole_bodies.py changes a body of unknown length, which would stream otherwise, and the entry has the change."""
    target = Application([("/paint", _Paint)])
    with BackgroundServer(target) as server, Receiver() as akto:
        scripts = (EXAMPLES / "whole_bodies.py", ADDON)
        options = {"akto_url": akto.url, "akto_linger_ms": "10"}
        with running_mitmdump(f"reverse:{server.url}", scripts=scripts, options=options) as proxy:
            answer = httpx.get(f"{proxy.url}/paint")
            assert answer.json() == {"color": "red"}
            assert Mirror(proxy, akto).entry("/paint")["responsePayload"] == answer.text


class _Paint(RequestHandler):
    """Sends a chunked response, without a length."""

    async def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        for chunk in (b'{"col', b'our":"red"}'):
            self.write(chunk)
            await self.flush()


def test_every_recipe_is_run() -> None:
    """Each file in examples/ has a test, here or in test_recipes.py."""
    here = Path(__file__).read_text() + Path(__file__).with_name("test_recipes.py").read_text()
    assert [path.name for path in EXAMPLES.iterdir() if path.is_file() and f'"{path.name}"' not in here] == []
