"""Whatever clients and targets send, no hook fails and no eligible exchange is lost."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.flow import Error
from mitmproxy.test import tflow

from akto_mirror.akto_api import DEFAULT_TAG, MAX_ENTRY_BYTES, MAX_RECORD_BYTES, Entry
from akto_mirror.telemetry.marks import VERDICT
from tests.support.flows import Fields, flow, request, response
from tests.support.harness import Harness, mirroring

TARGETS = ("json", "xml", "x-www-form-urlencoded", "soap", "grpc")

names = st.one_of(
    st.sampled_from(
        b"Host content-type Content-Type content-encoding content-length cookie set-cookie upgrade cf-connecting-ip "
        b"transfer-encoding connection x-akto-mirror 7 expect".split()
    ),
    st.binary(max_size=6),
)
values = st.one_of(
    st.sampled_from(
        [
            b"application/json",
            b"application/grpc",
            b"application/x-www-form-urlencoded; charset=utf-16",
            b"multipart/form-data; boundary=x",
            b"text/html; charset=\xff",
            b"websocket",
            b"gzip",
            b"br, gzip",
            b"zstd",
            b"deflate",
            b"chunked",
            b"17",
            b"-1",
            b"a.example:99999",
            b"[::1",
            b"\xff\xfe.example",
        ]
    ),
    st.binary(max_size=12),
)
fields = st.lists(st.tuples(names, values), max_size=8)
bodies = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.binary(max_size=60).map(gzip.compress),
    st.text(st.characters(), max_size=30).map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.sampled_from([b'{"password": "x", "a": [1', b"a=1&token=%zz", b"\x28\xb5\x2f\xfd\x00", b"\x1f\x8b\x08\x00"]),
)
paths = st.one_of(
    st.binary(max_size=20),
    st.binary(max_size=20).map(lambda tail: b"/" + tail),
    st.sampled_from(
        [b"", b"*", b"/api/ingestData", b"http://h/\xff", b"//", b"/?", b"example.com:443", b"/a?token=\xff"]
    ),
)
methods = st.one_of(st.sampled_from([b"GET", b"POST", b"HEAD", b"CONNECT", b""]), st.binary(max_size=6))
statuses = st.one_of(st.sampled_from([200, 204, 304, 101, 399]), st.integers(-1, 1000))
stamps = st.one_of(st.none(), st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 1e300]), st.floats())
peers = st.sampled_from(
    [None, ("192.0.2.7", 1), ("2001:db8::1", 1, 0, 0), ("fe80::1%eth0", 1, 0, 5), ("::ffff:1.2.3.4", 0)]
)
versions = st.sampled_from([b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"HTTP/3", b"\xff"])
shapes = st.fixed_dictionaries(
    {},
    optional={
        "fidelity": st.sampled_from(["akto", "worker"]),
        "include_query": st.booleans(),
        "body_limit": st.sampled_from([0, 1, 7, 65536]),
        "stream": st.sampled_from(["auto", "always", "never"]),
        "host": st.sampled_from(["", "fixed.example"]),
        "client_ip_header": st.sampled_from(["", "cookie", "cf-connecting-ip"]),
        "redact_headers": st.sampled_from([[], ["common"]]),
        "redact_fields": st.sampled_from([[], ["common", "a"]]),
        "mode": st.sampled_from([["regular"], ["reverse:http://target.internal:8080"]]),
        "batch_entries": st.sampled_from([1, 100]),
        "batch_bytes": st.sampled_from([1, 1048576]),
    },
)


@dataclass(frozen=True)
class Exchange:
    """One generated exchange, and how it arrives."""

    flow: http.HTTPFlow
    chunk: int
    breaks: bool

    def pass_on(self, mirror: Harness) -> str:
        """Run the hooks of the exchange, and return the verdict."""
        if not self.breaks:
            return mirror.pass_on(self.flow, self.chunk)
        self.flow.error = Error("broken off", timestamp=self.flow.request.timestamp_start)
        mirror.hook("requestheaders", self.flow)
        mirror.hook("responseheaders", self.flow)
        mirror.hook("error", self.flow)
        return str(self.flow.metadata.get(VERDICT))


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Draw any exchange that mitmproxy could pass, and some that it could not."""
    asked = request(
        draw(methods), draw(paths), fields=draw(fields), content=draw(bodies), version=draw(versions),
        authority=draw(values),
    )  # fmt: skip
    asked.timestamp_start = draw(stamps)  # type: ignore[assignment]
    answer = response(
        draw(statuses), draw(st.binary(max_size=8)), fields=draw(fields), content=draw(bodies), ended=draw(stamps)
    )
    mode = draw(st.sampled_from(["regular", "reverse:http://target.internal:8080"]))
    made = flow(asked, answer, mode=mode, live=draw(st.booleans()), peer=draw(peers))
    if is_websocket(asked) and answer.status_code == 101:
        made.websocket = tflow.twebsocket(messages=False)
    return Exchange(made, draw(st.sampled_from([0, 1, 1000])), draw(st.booleans()))


def joined(message: http.Message, name: bytes) -> str:
    """Return all values of a header, as the Worker sees them."""
    found = [value.decode("utf-8", "replace") for key, value in message.headers.fields if key.lower() == name]
    return ", ".join(found).lower()


def is_websocket(asked: http.Request) -> bool:
    """Return whether an exchange is a WebSocket, by an independent rule."""
    return joined(asked, b"upgrade") == "websocket"


def is_eligible(made: http.HTTPFlow) -> bool:
    """Return whether an exchange is eligible, by independent capture rules."""
    assert made.response
    if is_websocket(made.request):
        return True
    types = joined(made.request, b"content-type"), joined(made.response, b"content-type")
    return 200 <= made.response.status_code < 400 and any(target in text for target in TARGETS for text in types)


def is_own_call(made: http.HTTPFlow) -> bool:
    """Return whether this could be another proxy's request to Akto."""
    return any(name.lower() == b"x-akto-mirror" for name, _ in made.request.headers.fields) and (
        made.request.path == "/api/ingestData"
    )


def became_502(exchange: Exchange, shape: dict[str, Any]) -> bool:
    """Return whether mitmproxy replaces a broken response by a 502, by an independent rule; the hooks have run."""
    if shape.get("fidelity") == "worker":
        return False
    answer = exchange.flow.response
    assert answer
    return exchange.breaks and exchange.flow.live and not answer.stream and answer.raw_content is None


def check(line: bytes) -> None:
    """Check an entry: JSON in JSON, strings only, within the bound."""
    assert len(line) <= (MAX_ENTRY_BYTES if b"cloudflare" in line else MAX_RECORD_BYTES)
    entry = json.loads(line.decode("utf-8"))
    assert tuple(entry) == Entry.__struct_fields__[:-2]  # No direction, and no left-out exchanges.
    assert all(isinstance(value, str) for value in entry.values())
    for which in ("requestHeaders", "responseHeaders"):
        parsed = json.loads(entry[which])
        assert all(isinstance(value, str) for value in parsed.values())
    assert math.isfinite(int(entry["time"]))
    int(entry["statusCode"])
    assert entry["tag"] == DEFAULT_TAG or "cloudflare" in entry["tag"]


@settings(max_examples=120)
@given(st.lists(exchanges(), min_size=1, max_size=4), shapes)
def test_every_eligible_exchange_arrives(made: list[Exchange], shape: dict[str, Any]) -> None:
    """No hook raises, each flow has a verdict, and exactly the eligible ones are in the file, each valid JSON."""
    with mirroring(**shape) as mirror:
        verdicts = [exchange.pass_on(mirror) for exchange in made]
        lines = mirror.lines()
    assert all(verdict.isprintable() and verdict != "None" for verdict in verdicts)
    eligible = [is_eligible(each.flow) and not is_own_call(each.flow) and not became_502(each, shape) for each in made]
    assert [verdict == "captured" for verdict in verdicts] == eligible
    assert len(lines) == sum(eligible)
    for line in lines:
        check(line)


@settings(max_examples=50)
@given(
    exchanges(),
    st.sampled_from(
        ["~all", "~u x", "~d x", "~hq a: | ~hs b:", "~m GET", "~c 200", "~t json", "~meta x", "~src x | ~dst y", "~s"]
    ),
)
def test_no_exchange_makes_a_filter_fail(made: Exchange, expression: str) -> None:
    """A flow filter also sees hostile input, and must not raise."""
    with mirroring(filter=expression) as mirror:
        verdict = made.pass_on(mirror)
        assert verdict.startswith(("captured", "skipped"))


@settings(max_examples=50)
@given(exchanges(), st.sampled_from(["*example/*", "*/api/*", "https://a.example/", "[::1]/*", "*.example/*"]))
def test_no_exchange_makes_a_route_fail(made: Exchange, pattern: str) -> None:
    """Routes can be matched with hosts and paths of any bytes."""
    with mirroring(routes=[pattern]) as mirror:
        assert made.pass_on(mirror).startswith(("captured", "skipped"))


@pytest.mark.parametrize("limit", [65536, 4 * 1024 * 1024])
@pytest.mark.parametrize("byte", [b"\x01", b"\xff", b'"', b"a"])
def test_the_largest_bodies_arrive(limit: int, byte: bytes) -> None:
    """With the largest limit and the longest escapes an entry is cut until it is within the bound, but not lost."""
    body = byte * limit
    typed: Fields = [(b"content-type", b"application/json")]
    with mirroring(body_limit=limit) as mirror:
        verdict = mirror.pass_on(flow(request(b"POST", fields=typed, content=body), response(content=body)))
        (line,) = mirror.lines()
    assert verdict == "captured"
    check(line)
    assert len(line) > min(limit // 4, 900_000)
