"""Canaries through a real mitmdump: no secret leaves it, whatever happens to the entry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, unquote_plus, urlencode

import httpx
import pytest
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from tests.support.proxy import DEADLINE, running_mitmdump
from tests.support.secrets import CARDS, KEYS, NAMES

pytestmark = pytest.mark.e2e

# Secrets recognised by name, and secrets recognised by format.
NAMED = {name: f"canary-{number:02}-q7" for number, name in enumerate(NAMES)}
SHOWN = [*(key for _, key in KEYS), *CARDS]
# Those of one line, as for headers and paths.
IN_LINE = [value for value in SHOWN if "\n" not in value]

# Akto's answer to the entries of each path, which become dead letters, stay in the spool, or arrive.
FATES = {"refused": 400, "later": 503, "taken": 200}


class Case(NamedTuple):
    """A request with canaries in one place."""

    place: str
    headers: Mapping[str, str] = MappingProxyType({})
    path: str = ""
    body: bytes = b""


def strings(texts: list[str]) -> bytes:
    """Return a gRPC frame with a protobuf message that has these texts in its fields."""
    message = b""
    for text in texts:
        raw = text.encode()
        message += b"\x0a" + bytes([len(raw) & 127 | 128, len(raw) >> 7]) + raw
    return b"\x00" + len(message).to_bytes(4, "big") + message


def cases() -> Iterator[Case]:
    """Return a request for each place."""
    document = json.dumps({"named": NAMED, "shown": SHOWN, "nested": json.dumps({"named": NAMED})})
    fields = [*NAMED.items(), *((f"note{number}", value) for number, value in enumerate(SHOWN))]
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in fields)
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    query = urlencode([(name, value) for name, value in fields if "\n" not in value])
    yield Case("header", {f"x-{name}": value for name, value in fields if "\n" not in value}, body=b"{}")
    yield Case("path", path="".join(f";{name}={value}" for name, value in NAMED.items()), body=b"{}")
    yield Case("segments", path="/".join(["", *(quote(value, safe="") for value in IN_LINE)]), body=b"{}")
    yield Case("query", path=f"?{query}", body=b"{}")
    yield Case("json", {"content-type": "application/json"}, body=document.encode())
    yield Case("form", {"content-type": "application/x-www-form-urlencoded"}, body=urlencode(fields).encode())
    multipart = "".join(part.format(*field) for field in fields) + "--x--\r\n"
    yield Case(
        "multipart", {"content-type": "multipart/form-data; boundary=x", "accept": "a/json"}, body=multipart.encode()
    )
    yield Case("xml", {"content-type": "application/xml"}, body=f"<a>{elements}</a>".encode())
    events = f"event: message\ndata: {document}\n\ndata: {document}\n\n"
    yield Case("events", {"content-type": "text/event-stream; a=json"}, body=events.encode())
    texts = [json.dumps({name: value}) for name, value in NAMED.items()] + SHOWN
    yield Case("grpc", {"content-type": "application/grpc"}, body=strings(texts))


class _Echo(RequestHandler):
    """Echoes the request, and sets a cookie."""

    def post(self, _: str) -> None:
        self.set_header("content-type", self.request.headers.get("content-type", "application/json"))
        self.add_header("set-cookie", f"sid={NAMED['session_id']}; Path=/")
        self.write(self.request.body)


class _Akto(RequestHandler):
    """Records batches, and refuses those that it is set to refuse."""

    def initialize(self, got: list[bytes]) -> None:
        self.got = got

    def get(self) -> None:
        self.write({"success": True})

    def post(self) -> None:
        self.got.append(self.request.body)
        paths = [entry["path"].split("/")[1] for entry in json.loads(self.request.body)["batchData"]]
        self.set_status(max((FATES.get(path, 200) for path in paths), default=200))
        self.write({"success": self.get_status() == 200})


class Traces(NamedTuple):
    """The traces that a proxy leaves behind."""

    wire: str
    disk: str
    log: str


@pytest.fixture(scope="module", params=["akto", "worker"])
def traces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Traces:
    """Send every canary in every place, for each answer of Akto."""
    spool = tmp_path_factory.mktemp("state") / "spool"
    got = list[bytes]()
    redaction = {f"akto_redact_{what}": "common" for what in ("headers", "fields", "values")}
    options = redaction | {
        "akto_fidelity": request.param,
        "akto_content_types": "json,xml,x-www-form-urlencoded,soap,grpc,event-stream,multipart",
        "akto_spool_dir": str(spool),
        "akto_durability": "disk",
        "akto_linger_ms": "10",
        "akto_batch_entries": "1",
        "akto_shutdown_s": "2",
        "flow_detail": "0",
    }
    application = Application([("/api/ingestData", _Akto, {"got": got}), (".*", _Akto, {"got": got})])
    with (
        BackgroundServer(application) as akto,
        BackgroundServer(Application([("(.*)", _Echo)])) as api,
        running_mitmdump(f"reverse:{api.url}", options=options | {"akto_url": akto.url}) as proxy,
    ):
        for fate in ("taken", "refused", "later"):
            for case in cases():
                url = f"{proxy.url}/{fate}/{case.place}{case.path}"
                given = {"content-type": "application/json", "cookie": f"sid={NAMED['session_id']}"} | dict(
                    case.headers
                )
                answer = httpx.post(url, headers=given, content=case.body, trust_env=False)
                assert answer.content == case.body
            wait_for(f"/{fate}/".encode(), got, proxy.url)
        log = proxy.log
    disk = b"".join(path.read_bytes() for path in spool.rglob("*") if path.is_file())
    return Traces(b"\n".join(got).decode(), disk.decode("utf-8", "replace"), "\n".join(log))


def wait_for(what: bytes, got: list[bytes], proxy_url: str) -> None:
    """Wait until Akto has received something; accepted requests meanwhile show that the refused ones are to blame."""
    deadline = time.monotonic() + DEADLINE
    while not any(what in body for body in got):
        assert time.monotonic() < deadline, what
        httpx.post(f"{proxy_url}/taken/again", json={}, trust_env=False)


def readings(text: str) -> str:
    """Return a text, and the same text unescaped."""
    plain = text.replace('\\\\"', '"').replace('\\"', '"').replace("\\/", "/")
    return "\n".join((text, plain, unquote_plus(text), unquote_plus(unquote_plus(plain))))


def test_the_canaries_are_of_many_kinds() -> None:
    """There are canaries for many names and many formats."""
    assert len(NAMED) + len(SHOWN) >= 60


@pytest.mark.parametrize("where", Traces._fields)
def test_no_canary_is_left(traces: Traces, where: str) -> None:
    """No canary is on the wire, in the spool and its dead letters, or in the log."""
    text = readings(getattr(traces, where))
    assert [canary for canary in (*NAMED.values(), *SHOWN) if canary in text] == []


def test_what_is_left(traces: Traces) -> None:
    """Every entry was sent or kept, and its text apart from the secrets is still there."""
    for case in cases():
        assert f"/taken/{case.place}" in traces.wire
    assert "/refused/json" in traces.disk
    assert "/later/" in traces.disk
    assert "note1" in traces.wire
    assert "sid=[redacted]" in traces.wire
