"""The recipes for services: run if their program is installed, else checked by a validator of their format."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from akto_mirror.config import kafka
from akto_mirror.ingestion.service import Receiver
from tests.support.grpcpayload import merged
from tests.support.grpcpeer import EchoService, channel, path, serving_grpc
from tests.support.mirror import Mirror
from tests.support.proxy import DEADLINE, ROOT, Proxy, running, running_mitmdump
from tests.support.recipes import CONFDIR, EXAMPLES, PATH, SCRIPTS, in_front_of, recipe


@pytest.mark.parametrize(
    "name",
    [
        *("reverse.sh", "several-apis.sh", "tls.sh", "mcp-server.sh", "redact.sh", "unix-socket.sh"),
        *("config.yaml", "akto-mirror.service", "compose.yaml", "kubernetes.yaml"),
    ],
)
def test_clients_with_public_addresses_are_served(name: str) -> None:
    """By default mitmproxy drops clients with public addresses; recipes that face clients change that option."""
    assert re.search("block_global[=:] ?false", (EXAMPLES / name).read_text())


@pytest.mark.e2e
def test_cloudflare(api: str) -> None:
    """cloudflare.sh reports the visitor's address and the host that Cloudflare passes on."""
    with recipe("cloudflare.sh", env=in_front_of(api)) as mirror:
        sent = {"host": "shop.example.com", "cf-connecting-ip": "203.0.113.9"}
        httpx.get(f"{mirror.proxy.url}/api/products", headers=sent)
        entry = mirror.entry("/api/products")
    assert entry["ip"] == "203.0.113.9"
    assert json.loads(entry["requestHeaders"])["host"] == "shop.example.com"
    assert json.loads(entry["tag"]) == {"service": "cloudflare"}


@pytest.mark.e2e
def test_redact(api: str) -> None:
    """redact.sh skips the login, and no secret in a header, a field or the query reaches an entry."""
    secrets = {name: f"hunter-{name}" for name in ("header", "session", "json", "iban", "query", "login")}
    with recipe("redact.sh", env=in_front_of(api)) as mirror:
        url = mirror.proxy.url
        httpx.post(f"{url}/api/login", json={"password": secrets["login"]})
        httpx.post(
            f"{url}/api/orders?token={secrets['query']}&page=2",
            headers={"authorization": secrets["header"], "x-session": secrets["session"]},
            json={"card": {"password": secrets["json"]}, "iban": secrets["iban"], "thing": "lamp"},
        )
        entry = mirror.entry("/api/orders?token=[redacted]&page=2")
    shipped = json.dumps(list(mirror.akto.entries))
    assert [name for name, value in secrets.items() if value in shipped] == []
    assert json.loads(entry["requestPayload"])["thing"] == "lamp"
    assert len(mirror.akto.entries) == 1


@contextmanager
def two_mirrors(api: str, akto: Receiver) -> Iterator[list[Proxy]]:
    """Run the two mitmdumps behind a load balancer; the entries' tag names each."""
    with ExitStack() as stack:
        proxies = []
        for name in ("one", "two"):
            tag = json.dumps({"service": name})
            options = {"akto_url": akto.url, "akto_client_ip_header": "x-forwarded-for", "akto_tag": tag}
            given = options | {"akto_linger_ms": "10"}
            proxies.append(stack.enter_context(running_mitmdump(f"reverse:{api}", options=given)))
        yield proxies


def free_port() -> int:
    """Return a port that was free a moment ago: a balancer's configuration cannot use port 0."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def balancer(command: Sequence[str], port: int) -> Iterator[None]:
    """Run a load balancer, or another server, until the block ends, and wait until it listens."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + DEADLINE
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"{command[0]} does not listen: {process.communicate()[0]}")
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def check_balanced(port: int, mirror: Mirror) -> None:
    """Send requests from a distinct address until both mitmdumps have received one, and check their entries."""
    deadline = time.monotonic() + DEADLINE
    sent = 0
    transport = httpx.HTTPTransport(local_address="127.0.0.7")
    with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as client:
        while {json.loads(entry["tag"])["service"] for entry in mirror.akto.entries} != {"one", "two"}:
            assert time.monotonic() < deadline
            # The address that a client claims must be ignored.
            forged = {"host": "shop.example.com:8443", "x-forwarded-for": "198.51.100.1"}
            assert client.get("/api/products", headers=forged).status_code == 200
            sent += 1
            mirror.entries("/api/products", sent)
    for entry in mirror.akto.entries:
        assert entry["ip"] == "127.0.0.7"
        assert json.loads(entry["requestHeaders"])["host"] == "shop.example.com:8443"


def check_websocket(port: int, mirror: Mirror) -> None:
    """Upgrade to a WebSocket through the balancer."""
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    head = "GET /live HTTP/1.1\r\nHost: shop.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 101"
        assert mirror.entry("/live")["type"] == "WebSocket"


def changed(name: str, port: int, proxies: Sequence[Proxy], listen: str) -> str:
    """Return a balancer's recipe with the test's addresses."""
    text = (EXAMPLES / name).read_text()
    listeners = {listen: f"127.0.0.1:{port}"}
    mirrors = dict(zip(("127.0.0.1:8081", "127.0.0.1:8082"), _at(proxies), strict=True))
    for old, new in (listeners | mirrors).items():
        line = [line for line in text.splitlines() if old in line and not line.startswith("#")]
        assert len(line) == 1, f"{name} has not one line with {old}"
        text = text.replace(line[0], line[0].replace(old, new))
    return text


def _at(proxies: Sequence[Proxy]) -> list[str]:
    return [f"127.0.0.1:{proxy.port}" for proxy in proxies]


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx(api: str, tmp_path: Path) -> None:
    """nginx.conf balances over two mitmdumps, and entries keep the client's host and address."""
    port = free_port()
    with Receiver() as akto, two_mirrors(api, akto) as proxies:
        (tmp_path / "akto.conf").write_text(changed("nginx.conf", port, proxies, "8080"))
        config = tmp_path / "nginx.conf"
        config.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}"
            f" http {{ access_log off; client_body_temp_path {tmp_path}; include akto.conf; }}"
        )
        with balancer(["nginx", "-p", str(tmp_path), "-e", "stderr", "-c", str(config)], port):
            mirror = Mirror(proxies[0], akto)
            check_balanced(port, mirror)
            check_websocket(port, mirror)


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy")
def test_haproxy(api: str, tmp_path: Path) -> None:
    """haproxy.cfg balances over two mitmdumps, and entries keep the client's host and address."""
    port = free_port()
    with Receiver() as akto, two_mirrors(api, akto) as proxies:
        config = tmp_path / "haproxy.cfg"
        config.write_text(changed("haproxy.cfg", port, proxies, ":8080"))
        with balancer(["haproxy", "-db", "-f", str(config)], port):
            mirror = Mirror(proxies[0], akto)
            check_balanced(port, mirror)
            check_websocket(port, mirror)


def unit() -> configparser.ConfigParser:
    """Read the systemd unit, whose comments and continued lines are like those of an INI file."""
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",), strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((EXAMPLES / "akto-mirror.service").read_text().replace("\\\n", " "))
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_verifies_the_unit() -> None:
    """`systemd-analyze verify` reports no problem in akto-mirror.service."""
    command = ["systemd-analyze", "verify", str(EXAMPLES / "akto-mirror.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.e2e
def test_systemd_unit_starts(api: str, tmp_path: Path) -> None:
    """The command of akto-mirror.service mirrors, with its spool and certificates in the state directory."""
    service = unit()["Service"]
    given = dict(word.split("=", 1) for word in service["Environment"].split())
    assert given.keys() >= {"XDG_STATE_HOME", "TARGET", "LISTEN", "METRICS"}
    command = shlex.split(service["ExecStart"].replace("$$", "$").replace("/opt/akto-mirror/bin", str(SCRIPTS)))
    (tmp_path / service["StateDirectory"]).mkdir(mode=int(service["StateDirectoryMode"], 8))
    with Receiver() as akto:
        changed = {"TARGET": api, "LISTEN": "127.0.0.1:0", "METRICS": "127.0.0.1:0", "XDG_STATE_HOME": str(tmp_path)}
        env = given | changed | {"AKTO_DATA_INGESTION_URL": akto.url}
        with running(command, ["127.0.0.1"], env) as proxy:
            httpx.get(f"{proxy.url}/api/products")
            assert Mirror(proxy, akto).entry("/api/products")["method"] == "GET"
            proxy.wait_for("metrics at")
    assert (tmp_path / "akto-mirror" / "mitmproxy" / "mitmproxy-ca.pem").is_file()


def instructions() -> list[tuple[str, Sequence[str]]]:
    """Return the Dockerfile's instructions as Docker's own parser reads them."""
    dockerfile = pytest.importorskip("dockerfile")
    return [(line.cmd, line.value) for line in dockerfile.parse_file(str(EXAMPLES / "Dockerfile"))]


def of_image(state: Path) -> dict[str, str]:
    """Return the environment that the Dockerfile sets, with another state directory and this Python's programs."""
    words = [word for name, value in instructions() if name == "ENV" for word in value if word != "="]
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert given.keys() >= {"XDG_STATE_HOME", "PYTHONUNBUFFERED"}
    return given | {"XDG_STATE_HOME": str(state), "PATH": PATH}


def test_the_image_has_all_that_it_needs(tmp_path: Path) -> None:
    """The Dockerfile copies the whole package, which loads without the rest of the clone."""
    for *sources, goal in (value for name, value in instructions() if name == "COPY"):
        for source in sources:
            to = tmp_path / Path(goal).relative_to("/src")
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, to)
    code = "import akto_addon, akto_mirror.ingestion.service; print(akto_addon.__file__, akto_mirror.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "akto_addon.py"), str(tmp_path / "akto_mirror" / "__init__.py")]
    assert (tmp_path / "pyproject.toml").is_file()


def services(name: str = "compose.yaml") -> dict[str, Any]:
    """Return the services of a recipe, after a validator of the Compose specification has checked it."""
    compose_spec = pytest.importorskip("compose_spec")
    read = compose_spec.PyCompose.from_yaml((EXAMPLES / name).read_text())
    read.validate()
    return dict(read.to_dict()["services"])


def test_compose_with_kafka_fits_together() -> None:
    """The proxies, the broker and the creator of the topic refer to one another correctly; the options are valid."""
    found = services("compose-kafka.yaml")
    for mirror in (found["mirror1"], found["mirror2"]):
        sink = kafka.sink("", (), mirror["environment"])
        assert sink is not None
        assert sink.kafka is not None
        [broker] = sink.kafka.brokers
        assert broker in found["topic"]["command"]
        assert sink.kafka.topic in found["topic"]["command"]
        assert f"PLAINTEXT://{broker}" == found["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        assert "reverse:http://target:3000@8080" in mirror["command"]
        assert mirror["build"]["args"] == {"EXTRAS": "[kafka]"}


def test_kubernetes_with_kafka_has_usable_settings() -> None:
    """The Kafka client accepts the settings, and the objects replace those of the sidecar."""
    validator = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("yaml")
    environ: dict[str, str] = {}
    for item in yaml.safe_load_all((EXAMPLES / "kubernetes-kafka.yaml").read_text()):
        validator.validate(item, "1.33", strict=True)
        assert item["metadata"]["name"] == objects()[item["kind"]]["metadata"]["name"]
        environ |= item.get("data", {}) | item.get("stringData", {})
    sink = kafka.sink("", (), environ)
    assert sink is not None
    assert sink.kafka is not None
    assert dict(sink.kafka.properties)["sasl.mechanisms"] == "SCRAM-SHA-512"


def test_compose_fits_together() -> None:
    """Every host that a service of compose.yaml names is a service, and the files for the build exist."""
    found = services()
    mirror = found["mirror"]
    assert "reverse:http://target:3000@8080" in mirror["command"]
    assert mirror["environment"]["AKTO_DATA_INGESTION_URL"] == "http://sink:9091"
    assert found["target"]["entrypoint"][-1] == "3000"
    assert found["sink"]["entrypoint"][-2:] == ["--port", "9091"]
    assert {"target", "sink"} < found.keys()
    assert (EXAMPLES / mirror["build"]["context"] / mirror["build"]["dockerfile"]).is_file()


@pytest.mark.e2e
def test_the_containers_command_mirrors(api: str, tmp_path: Path) -> None:
    """The Dockerfile's ENTRYPOINT with the command of compose.yaml mirrors; only addresses are replaced."""
    command = [
        word.replace("http://target:3000@8080", f"{api}@127.0.0.1:0") for word in services()["mirror"]["command"]
    ]
    command = [word.replace("0.0.0.0:9464", "127.0.0.1:0") for word in command]
    entrypoint = next(value for name, value in instructions() if name == "ENTRYPOINT")
    with Receiver() as akto:
        env = {"AKTO_DATA_INGESTION_URL": akto.url, "AKTO_API_TOKEN": ""} | of_image(tmp_path)
        with running([*entrypoint, *command, *CONFDIR], ["127.0.0.1"], env) as proxy:
            httpx.get(f"{proxy.url}/api/products")
            assert Mirror(proxy, akto).entry("/api/products")["method"] == "GET"


@pytest.mark.e2e
def test_the_containers_beside_it_serve() -> None:
    """The commands of the target and of the sink in compose.yaml serve; only ports are replaced."""
    found = services()
    target = [sys.executable, *found["target"]["entrypoint"][1:-1], str(port := free_port())]
    with balancer(target, port):
        assert httpx.get(f"http://127.0.0.1:{port}/api/products").json()[0]["name"] == "lamp"
    sink = [str(SCRIPTS / found["sink"]["entrypoint"][0]), *found["sink"]["entrypoint"][1:-1], str(port := free_port())]
    with balancer(sink, port):
        assert httpx.get(f"http://127.0.0.1:{port}/healthCheck").status_code == 200


def objects() -> dict[str, Any]:
    """Return the objects of kubernetes.yaml by kind, each checked against the schema of Kubernetes."""
    validator = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("yaml")
    found = {}
    for item in yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()):
        validator.validate(item, "1.33", strict=True)
        found[item["kind"]] = item
    return found


def test_kubernetes_fits_together() -> None:
    """The objects of kubernetes.yaml refer to one another correctly."""
    found = objects()
    template = found["Deployment"]["spec"]["template"]
    (sidecar,) = template["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert found["Service"]["spec"]["selector"] == template["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] in {port["name"] for port in sidecar["ports"]}
    (config, secret) = sidecar["envFrom"]
    assert config["configMapRef"]["name"] == found["ConfigMap"]["metadata"]["name"]
    assert secret["secretRef"]["name"] == found["Secret"]["metadata"]["name"]
    mounts = {mount["name"] for mount in sidecar["volumeMounts"]}
    assert mounts <= {volume["name"] for volume in template["spec"]["volumes"]}


@contextmanager
def sidecar(target: str, folder: Path) -> Iterator[Mirror]:
    """Run the Dockerfile's ENTRYPOINT with the sidecar's arguments; only addresses are replaced."""
    (sidecar,) = objects()["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    given = " ".join(shlex.quote(word) for word in sidecar["args"])
    given = given.replace("http://127.0.0.1:3000@8080", f"{target}@127.0.0.1:0").replace("0.0.0.0:9464", "127.0.0.1:0")
    entrypoint = next(value for name, value in instructions() if name == "ENTRYPOINT")
    with Receiver() as akto:
        env = {"AKTO_DATA_INGESTION_URL": akto.url} | of_image(folder)
        with running([*entrypoint, *shlex.split(given), *CONFDIR], ["127.0.0.1"], env) as proxy:
            yield Mirror(proxy, akto)


@pytest.mark.e2e
def test_the_sidecars_arguments_mirror(api: str, tmp_path: Path) -> None:
    """The sidecar mirrors HTTP/1."""
    with sidecar(api, tmp_path) as mirror:
        httpx.get(f"{mirror.proxy.url}/api/products")
        assert mirror.entry("/api/products")["statusCode"] == "200"


@pytest.mark.e2e
def test_the_sidecars_arguments_mirror_grpc(tmp_path: Path) -> None:
    """The sidecar mirrors gRPC without TLS, without further settings."""
    with (
        serving_grpc(EchoService(), None) as port,
        sidecar(f"http://127.0.0.1:{port}", tmp_path) as mirror,
        channel(mirror.proxy.port, None) as opened,
    ):
        assert opened.unary_unary(path("Unary"))(b"x", timeout=DEADLINE) == b"x"
        assert merged(mirror.entry(path("Unary")), "responsePayload") == b"x"
