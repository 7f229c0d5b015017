"""Untouched: what client and target see through the addon is what they see through plain mitmdump.

`DIFFERENTIAL_SEED` chooses other exchanges than the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from tests.differential import http1_kinds, http2_kinds, refusals
from tests.differential.bench import MODES, SEED, Bench, Setting, assert_same
from tests.differential.client import play
from tests.differential.compare import compare
from tests.differential.direct import forget
from tests.differential.drawing import Maker
from tests.differential.framing import Sighting, allow, lost_answer
from tests.differential.generate import Kind, generate, generate_clear
from tests.differential.plan import Connection, End, Exchange, Plan, Protocol, Twist
from tests.differential.record import Arrival
from tests.differential.wire import CUT, Message, dechunk, is_chunked, lines_of
from tests.support.proxy import ADDON

pytestmark = pytest.mark.e2e

# mitmproxy itself crashes over some exchanges, such as those with trailers; under `run`, its tracebacks show this file.
BETWEEN = "akto_mirror/runner/quick_hooks.py"


BESIDE_OTHERS = {
    "a short limit": Setting({"akto_body_limit": "10"}),
    "entries as the Worker's": Setting({"akto_fidelity": "worker", "akto_routes": "*/v1/*"}),
    "hosts kept": Setting({}, {"keep_host_header": "true"}),
    "bodies that mitmproxy streams": Setting({"akto_stream": "never"}, {"stream_large_bodies": "10k"}),
    "bodies that mitmproxy changes": Setting({}, {"modify_body": "/~s/caf/CAF"}, streams=False),
    "headers that mitmproxy changes": Setting({}, {"modify_headers": "/~q & ~m PUT/user-agent/changed"}),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(120, id="120-exchanges"), pytest.param(600, id="600-exchanges", marks=pytest.mark.slow)],
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench for this many exchanges."""
    yield from _bench(request.param)


@pytest.fixture(scope="module")
def small_bench() -> Iterator[Bench]:
    """A bench for few exchanges, of each protocol some."""
    yield from _bench(60)


def _bench(count: int) -> Iterator[Bench]:
    made = Bench(generate(SEED, count))
    yield made
    made.sockets.close()


def test_same_seed_gives_same_exchanges() -> None:
    """A plan depends on nothing but its seed and size."""
    assert generate(SEED, 200) == generate(SEED, 200)
    assert generate(SEED, 200) != generate(SEED + 1, 200)


def test_full_plan_has_every_kind() -> None:
    """Five hundred exchanges and more hold each kind, over each protocol."""
    plan = generate(SEED, 600)
    kinds = {exchange.kind for exchange in plan.exchanges().values()}
    assert len(plan.exchanges()) >= 500
    assert kinds == {kind(Maker(Random(0), "x")).kind for kind in ALL_KINDS}
    assert {connection.protocol for connection in plan.connections} == set(Protocol) - {Protocol.HTTP2_CLEAR}


ALL_KINDS = (
    *(*http1_kinds.PLAIN, *http1_kinds.IDLE, *http1_kinds.SMALL, *http1_kinds.LAST, *http1_kinds.FAILING),
    *(*http2_kinds.STREAMS, *http2_kinds.ALONE, *http2_kinds.TRANSLATED),
)


@pytest.mark.slow
def test_two_runs_of_plain_mitmdump_do_not_differ(bench: Bench) -> None:
    """The control: without it, a difference would prove nothing."""
    again, _ = bench.run({}, ())
    assert not again.hung
    assert_same(compare(bench.plan, bench.plain({}), again, streams=False))


def test_every_exchange_is_seen(bench: Bench) -> None:
    """Nothing is compared with nothing: what mitmproxy takes arrives once, and a client that stays is answered."""
    record = bench.plain({})
    for exchange in bench.plan.exchanges().values():
        refused = "refused request" in exchange.kind or exchange.twist is Twist.CUT_REQUEST
        left = exchange.twist in (Twist.CUT_REQUEST, Twist.LEAVES)
        assert len(record.arrivals.get(exchange.id, ())) == (not refused), exchange
        assert bool(record.answers.get(exchange.id)) == (not left), exchange


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("setting", MODES.values(), ids=MODES.keys())
def test_addon_changes_nothing(bench: Bench, setting: Setting, tmp_path: Path) -> None:
    """Client and target receive the same through the addon, save for what `framing` lists where bodies pass."""
    check(bench, setting, tmp_path)


@pytest.mark.usefixtures("program")
@pytest.mark.slow
@pytest.mark.parametrize("setting", BESIDE_OTHERS.values(), ids=BESIDE_OTHERS.keys())
def test_addon_changes_nothing_beside_other_options(small_bench: Bench, setting: Setting, tmp_path: Path) -> None:
    """The same holds with options that steer what the addon does to a flow."""
    check(small_bench, setting, tmp_path)


def check(bench: Bench, setting: Setting, folder: Path) -> None:
    """Run the addon and compare; it must have mirrored something, and dropped nothing."""
    own = {"akto_url": (folder / "entries.ndjson").as_uri()} | dict(setting.own)
    record, proxy = bench.run({**setting.shared, **own}, (ADDON,))
    assert_same(compare(bench.plan, bench.plain(setting.shared), record, streams=setting.streams))
    counts = proxy.wait_for(r"captured (\d+) = shipped (\d+) .* dropped (\d+)")
    assert int(counts[1]) == int(counts[2]) > 0
    assert int(counts[3]) == 0
    lines = [line for line in proxy.log if BETWEEN not in line]
    assert not [line for line in lines if "please report" in line or "akto_mirror/" in line]


@pytest.mark.parametrize("count", [60, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stream", ["auto", "always", "never"])
def test_without_tls_http2_is_as_without_a_proxy(count: int, stream: str, tmp_path: Path) -> None:
    """Client and target receive over HTTP/2 in clear text what they would from one another, which mitmdump refuses."""
    made = Bench(generate_clear(SEED, count))
    direct = play(made.plan, made.sockets.addresses(), made.sockets)
    # Reverse mode would put the target's address in the place of the client's host, and its own port into Alt-Svc.
    options = {"keep_host_header": "true", "keep_alt_svc_header": "true", "akto_stream": stream}
    own = {"akto_url": (tmp_path / "entries.ndjson").as_uri()}
    record, proxy = made.run(options | own, (ADDON,))
    made.sockets.close()
    assert_same(compare(made.plan, forget(made.plan, direct), forget(made.plan, record), streams=True))
    counts = proxy.wait_for(r"captured (\d+) = shipped (\d+) .* dropped (\d+)")
    assert int(counts[1]) == int(counts[2]) > 0
    assert int(counts[3]) == 0
    assert not [line for line in proxy.log if "please report" in line or "crashed" in line]


@dataclass(frozen=True)
class Touch:
    """Something that a script does to one exchange, and where it must show."""

    kind: Kind
    hook: str
    statement: str
    where: str
    protocol: Protocol = Protocol.HTTP1


TOUCHES = {
    "case": Touch(
        http1_kinds.sized_down,
        "response",
        "flow.response.headers.fields = [(name.swapcase(), value) for name, value in flow.response.headers.fields]",
        "at the client",
    ),
    "reason": Touch(http1_kinds.sized_down, "response", "flow.response.reason = 'Fine'", "at the client"),
    "order": Touch(
        http1_kinds.ordinary,
        "requestheaders",
        "flow.request.headers.fields = flow.request.headers.fields[::-1]",
        "at the target",
    ),
    "byte": Touch(
        http1_kinds.chunked_up, "request", "flow.request.raw_content = b'?' + flow.request.raw_content", "at the target"
    ),
    "path": Touch(http1_kinds.hostile_path, "requestheaders", "flow.request.path += '&'", "at the target"),
    "break": Touch(http1_kinds.hosts, "response", "flow.kill()", "at the client"),
    "field": Touch(
        http2_kinds.ordinary, "requestheaders", "flow.request.headers['x-more'] = ''", "at the target", Protocol.HTTP2
    ),
    "trailers": Touch(
        http2_kinds.grpc,
        "response",
        "flow.response.trailers = mitmproxy.http.Headers(more='1')",
        "at the client",
        Protocol.HTTP2,
    ),
    "nothing": Touch(http1_kinds.ordinary, "response", "pass", ""),
    "nothing2": Touch(http2_kinds.ordinary, "response", "pass", "", Protocol.HTTP2),
}

MEDDLER = """
import mitmproxy.http

TOUCHES = {touches!r}


def touch(hook, flow):
    wanted, statement = TOUCHES.get(flow.request.headers.get("x-exchange"), ("", ""))
    if wanted == hook:
        exec(statement)


def requestheaders(flow):
    touch("requestheaders", flow)


def request(flow):
    touch("request", flow)


def response(flow):
    touch("response", flow)
"""


def test_harness_notices_what_a_script_changes(tmp_path: Path) -> None:
    """Each small change by another addon is reported, at the right side, and nothing else is."""
    random = Random(SEED)
    connections = (Connection(name, each.protocol, (each.kind(Maker(random, name)),)) for name, each in TOUCHES.items())
    made = Bench(Plan(tuple(connections)))
    script = tmp_path / "meddler.py"
    script.write_text(MEDDLER.format(touches={name: (each.hook, each.statement) for name, each in TOUCHES.items()}))
    touched, _ = made.run({}, (script,))
    differences = compare(made.plan, made.plain({}), touched, streams=True)
    made.sockets.close()
    found = {each.where.split()[1]: each.what for each in differences if each.where.startswith("exchange")}
    assert found == {name: each.where for name, each in TOUCHES.items() if each.where}


def begun(exchange: Exchange) -> Message:
    """What a client gets of an answer that its target does not finish."""
    half = exchange.answer
    body = dechunk(half.body) if is_chunked(half.head) else half.body
    return Message(lines_of(half.head), body, framing="length", end=CUT)


def test_allowance_for_cut_answers_is_narrow() -> None:
    """A cut answer may come as mitmproxy's error page or as all that the target sent, and as nothing else."""
    exchange = http1_kinds.cut_answer(Maker(Random(SEED), "x"))
    page = Message((b"HTTP/1.1 502 Bad Gateway", b"Server: mitmproxy 12.2.3"), b"<html>", framing="length")
    whole = begun(exchange)
    allowed = allow(exchange, Sighting((page,), ()))
    assert allow(exchange, Sighting((whole,), ())) == allowed
    for other in (
        replace(whole, body=whole.body[:-1]),
        replace(whole, body=whole.body + b"x"),
        replace(whole, end="complete"),
        replace(whole, head=(*whole.head, b"X-More: 1")),
        replace(page, head=(b"HTTP/1.1 502 Bad Gateway", b"Server: target/1.0")),
        replace(page, head=(b"HTTP/1.1 500 Internal Server Error", b"Server: mitmproxy 12.2.3")),
    ):
        assert allow(exchange, Sighting((other,), ())) != allowed
    assert allow(replace(exchange, twist=Twist.NONE), Sighting((page,), ())) != allowed


def test_allowance_for_cut_requests_is_narrow() -> None:
    """A cut request may reach the target not at all or in part, not whole and not changed."""
    exchange = http1_kinds.request_with_trailers(Maker(Random(SEED), "x"))
    head = tuple(line for line in lines_of(exchange.request.head) if line.lower() != b"host: api.example.test")
    part = Message((*head, b"Host: 127.0.0.1:1"), dechunk(exchange.request.body)[:-1], framing="chunked", end=CUT)
    allowed = allow(exchange, Sighting(None, ()))
    assert allow(exchange, Sighting(None, (Arrival(part),))) == allowed
    for other in (
        replace(part, end="complete"),
        replace(part, body=b"?" + part.body[1:]),
        replace(part, head=part.head[1:]),
        replace(part, trailers=(b"X-Sum: 1",)),
    ):
        assert allow(exchange, Sighting(None, (Arrival(other),))) != allowed
    assert allow(replace(exchange, twist=Twist.NONE), Sighting(None, (Arrival(part),))) != allowed


def refused(end: End) -> Exchange:
    """An upload whose client waits for `100 Continue`, and what its target does behind the answer."""
    made = refusals.over_http1(SEED, refusals.SMALL).exchanges().values()
    return next(each for each in made if each.refusal and each.refusal.end is end and b"Expect" in each.request.head)


@pytest.mark.parametrize("end", [End.CLOSES, End.RESETS])
def test_allowance_for_lost_answers_is_narrow(end: End) -> None:
    """A refusal may be lost to mitmproxy's error page, or to nothing behind its own `100 Continue`."""
    exchange = refused(end)
    interim = Message((b"HTTP/1.1 100 Continue",), framing="none")
    page = Message((b"HTTP/1.1 502 Bad Gateway", b"Server: mitmproxy 12.2.3"), b"<html>", framing="length")
    whole = replace(begun(exchange), end="complete")
    allowed = lost_answer(exchange, Sighting((interim, whole), ()))
    assert lost_answer(exchange, Sighting((interim, page), ())) == allowed
    assert lost_answer(exchange, Sighting((interim,), ())) == allowed
    for other in (
        (),
        None,
        (whole,),
        (interim, interim),
        (replace(interim, end=CUT),),
        (replace(interim, head=(b"HTTP/1.1 102 Processing",)),),
        (interim, replace(whole, body=whole.body[:-1])),
        (interim, replace(page, head=(b"HTTP/1.1 502 Bad Gateway", b"Server: target/1.0"))),
    ):
        assert lost_answer(exchange, Sighting(other, ())) != allowed
    without = replace(exchange, request=replace(exchange.request, head=exchange.request.head.replace(b"Expect", b"X")))
    for differs in (without, refused(End.READS), refused(End.STOPS), refused(End.LINGERS)):
        assert lost_answer(differs, Sighting((interim,), ())).answers == (interim,)


def test_chunk_sizes_are_all_that_is_forgotten_of_chunks() -> None:
    """Streaming may cut a body into other chunks, not turn chunks into a length."""
    exchange = http1_kinds.chunked_down(Maker(Random(SEED), "x"))
    one = Message((b"HTTP/1.1 200 OK",), b"abc", framing="chunked 3")
    seen = allow(exchange, Sighting((one,), ()))
    assert allow(exchange, Sighting((replace(one, framing="chunked 1 2"),), ())) == seen
    assert allow(exchange, Sighting((replace(one, framing="length"),), ())) != seen
    assert allow(exchange, Sighting((replace(one, body=b"abd"),), ())) != seen
