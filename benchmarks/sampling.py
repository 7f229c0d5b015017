"""What `akto_sample=novel` finds of an API, and at what cost, beside `all` and sampling by chance.

A million synthetic exchanges of 500 endpoints go through `Capture`: their frequencies follow Zipf's law, and each
endpoint has rare variants, half of which begin late in the run. Every exchange knows which facts it shows, so that what
was found is judged without the code that is measured.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from mitmproxy import http
from mitmproxy.test.tflow import tflow

from akto_mirror.accounts import Stats
from akto_mirror.capture.capture import Capture
from akto_mirror.capture.encoding import Captured
from akto_mirror.config.declarations import OPTIONS
from akto_mirror.config.options import read
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks import choose
from benchmarks import peers, table

ENDPOINTS = 500
VARIANTS = 8
RATE = 1_000  # exchanges a second, by the times of the exchanges
START = 1_785_585_600.0
HOSTILE_S = 120
KINDS = ("endpoints", "fields", "types", "statuses", "authentication", "query parameters")

AUTH = (("authorization", "Bearer x"), ("authorization", "Basic eDp5"), ("x-api-key", "x"), ("cookie", "sessionid=x"))
VALUES: tuple[Any, ...] = (7, "text", True, None, 1.5)

# A fact: its kind by its index in KINDS, the endpoint, and what it is.
Fact = tuple[Any, ...]


class Variant(NamedTuple):
    """One way in which an endpoint is used.

    Attributes:
        weight: how often, in shares of the endpoint.
        since: from which share of the run on.
        facts: what it shows.
        is_hostile: whether it is an attacker's.
    """

    weight: float
    since: float
    method: str
    path: str
    status: int
    request: http.Headers
    asked: bytes
    answered: bytes
    facts: frozenset[Fact]
    is_hostile: bool = False


class Exchange(NamedTuple):
    """An exchange of a variant, with the number in its path and its time in epoch seconds."""

    variant: Variant
    number: int
    when: float


@dataclass
class Run:
    """What a run came to."""

    exchanges: int = 0
    shipped: int = 0
    size: int = 0
    cpu_s: float = 0.0
    there: set[Fact] = field(default_factory=set)
    found: set[Fact] = field(default_factory=set)
    by_attacker: int = 0
    shipped_of_attacker: int = 0
    note: str = ""

    def share(self, kind: int) -> str:
        """Return how much of a kind was found."""
        there = sum(fact[0] == kind for fact in self.there)
        found = sum(fact[0] == kind for fact in self.found)
        return f"{100 * found / there:.1f} %" if found < there else "100 %"


def report(exchanges: int) -> str:
    """Measure and return the section."""
    variants = [list(_variants(number, _seeded(number))) for number in range(ENDPOINTS)]
    gc.freeze()
    tenth = max(1, exchanges // 10)
    none_s = _nothing(_traffic(variants, tenth)) / tenth
    with peers.running_ingestion() as ingestion:
        everything = _run("all", ingestion.url, _traffic(variants, tenth))
        novel = _run("novel", ingestion.url, _traffic(variants, exchanges))
        hostile = _run("novel", ingestion.url, _under_attack(variants))
        arrived = ingestion.entries
    chance = _by_chance(_traffic(variants, exchanges), novel.shipped / novel.exchanges)
    if arrived != everything.shipped + novel.shipped + hostile.shipped:
        raise RuntimeError(f"the figures are void: {arrived} entries arrived")
    for run in (everything, novel):
        run.cpu_s -= none_s * run.exchanges
    rows = [_row(name, run, everything) for name, run in (("all", everything), ("novel", novel), ("by chance", chance))]
    return "\n\n".join(
        [
            "### Sampling",
            f"{table.machine()}. {exchanges:,} exchanges of {ENDPOINTS} endpoints, {RATE:,} a second in recorded time, "
            "through `Capture` and the shipper to an ingestion service. CPU time is that of capture and shipper. By "
            "chance: as many as novel, drawn evenly. Of all, a tenth was run, since nothing is left out.",
            table.render(("", "shipped", "bytes of all", "CPU a request", *KINDS), rows),
            _attacked(hostile),
        ]
    )


def _row(name: str, run: Run, everything: Run) -> list[str]:
    cpu = f"{run.cpu_s / run.exchanges * 1e6:.0f} µs" if run.cpu_s else "-"
    share = (run.size / run.exchanges) / (everything.size / everything.exchanges)
    size = f"{100 * share:.2f} %" if run.cpu_s else "-"
    return [
        name,
        f"{100 * run.shipped / run.exchanges:.2f} %",
        size,
        cpu,
        *(run.share(kind) for kind in range(len(KINDS))),
    ]


def _attacked(run: Run) -> str:
    shares = ", ".join(f"{kind} {run.share(number)}" for number, kind in enumerate(KINDS))
    return (
        f"Under attack, novel: for {HOSTILE_S} s as many requests again by an attacker, with random paths, hosts and "
        f"fields, {run.by_attacker:,} in all, of which {run.shipped_of_attacker:,} were shipped. Found of the others: "
        f"{shares}. {run.note}"
    )


def _run(sample: str, url: str, traffic: Iterator[Exchange]) -> Run:
    """Let exchanges go through capture and shipper; the CPU time includes that of drawing them."""
    run, before = Run(), _resident_mib()
    defaults = {option.name: option.default for option in OPTIONS}
    given = {"akto_url": url, "akto_sample": sample, "akto_durability": "memory", "akto_shutdown_s": 60}
    settings = read(defaults | given, {})
    capture = Capture(settings.capture, "marker")
    shipper = Shipper(settings.delivery, choose.open_sink(settings.sink, "marker"), Stats())
    flow, start = _flow(), time.process_time()
    for exchange in traffic:
        _dress(flow, exchange)
        made = capture.of(flow)
        size = 0
        if isinstance(made, Captured):
            while shipper.is_crowded():
                time.sleep(0.01)
            shipper.offer(made.encoded)
            capture.sent(made)
            size = len(made.encoded)
        _count(run, exchange.variant, size)
    shipper.close().result()
    run.cpu_s = time.process_time() - start
    if account := capture.account(0):
        run.note = (
            f"Sampling knew {account.endpoints:,} endpoints in {account.size / 2**20:.1f} MiB at the end; the process "
            f"grew by {_resident_mib() - before:.0f} MiB."
        )
    return run


def _nothing(traffic: Iterator[Exchange]) -> float:
    """Return the CPU seconds that drawing exchanges takes."""
    run, flow, start = Run(), _flow(), time.process_time()
    for exchange in traffic:
        _dress(flow, exchange)
        _count(run, exchange.variant, 0)
    return time.process_time() - start


def _flow() -> http.HTTPFlow:
    """Return a recorded flow."""
    flow = tflow(resp=True)
    flow.live = False
    return flow


def _by_chance(traffic: Iterator[Exchange], share: float) -> Run:
    run, draw = Run(), _seeded(1)
    for variant, _, _ in traffic:
        _count(run, variant, len(variant.asked) + len(variant.answered) if draw.random() < share else 0)
    return run


def _count(run: Run, variant: Variant, size: int) -> None:
    run.exchanges += 1
    run.there |= variant.facts
    run.by_attacker += variant.is_hostile
    if size:
        run.shipped += 1
        run.size += size
        run.found |= variant.facts
        run.shipped_of_attacker += variant.is_hostile


def _dress(flow: http.HTTPFlow, exchange: Exchange) -> None:
    """Make the flow an exchange of a variant."""
    variant, number, when = exchange
    request, response = flow.request, flow.response
    assert response is not None  # noqa: S101 - made with one; for the type checker
    request.data.method = variant.method.encode()
    request.data.path = variant.path.replace("{id}", str(number)).encode()
    request.data.headers = variant.request
    request.data.content = variant.asked
    response.data.status_code = variant.status
    response.data.headers = JSON
    response.data.content = variant.answered
    response.data.timestamp_end = when


JSON = http.Headers([(b"content-type", b"application/json"), (b"server", b"nginx/1.22.1")])


def _variants(endpoint: int, draw: random.Random) -> Iterator[Variant]:
    """Make the ways in which an endpoint is used: a common one, and rarer ones with one fact more."""
    host, method = f"api{endpoint % 5}.example", draw.choice(("GET", "POST", "PUT"))
    resource_name = "".join(draw.choices("abcdefghijklmnop", k=7))
    path = f"/v1/{resource_name}/{{id}}/{draw.choice(('items', 'history', 'settings'))}"
    names = [f"{resource_name}{chr(97 + number)}" for number in range(draw.randint(6, 20))]
    for number in range(VARIANTS):
        weight = 1.0 if number == 0 else draw.choice((0.1, 0.01, 0.003))
        asked = {name: draw.choice(VALUES) for name in names[:4]} if method != "GET" else None
        answer: dict[str, Any] = dict.fromkeys(names, "text") | {"notes": "x" * draw.randint(200, 2_000)}
        status, auth, query = 200, AUTH[0], ""
        match number % 6:
            case 1:
                answer[f"late{number}"] = draw.choice(VALUES)
            case 2:
                answer[draw.choice(names)] = draw.choice((7, True, None))
            case 3:
                status = draw.choice((201, 202, 206))
            case 4:
                auth = draw.choice(AUTH[1:])
            case 5:
                query = f"filter{number}=x"
        yield Variant(
            weight=weight,
            since=0.0 if number < VARIANTS // 2 else draw.uniform(0.3, 0.95),
            method=method,
            path=path + (f"?{query}" if query else ""),
            status=status,
            request=_headers(host, auth, has_body=asked is not None),
            asked=b"" if asked is None else json.dumps(asked).encode(),
            answered=json.dumps({"data": answer}).encode(),
            facts=frozenset(_facts(endpoint, asked or {}, answer, (status, auth, query))),
        )


def _headers(host: str, auth: tuple[str, str], *, has_body: bool) -> http.Headers:
    fields = {"host": host, "user-agent": "client/1.0", "accept": "application/json", "accept-encoding": "gzip"}
    fields |= {auth[0]: auth[1]} | ({"content-type": "application/json"} if has_body else {})
    return http.Headers([(name.encode(), value.encode()) for name, value in fields.items()])


def _facts(endpoint: int, asked: dict[str, Any], answer: dict[str, Any], head: tuple[Any, ...]) -> Iterator[Fact]:
    status, auth, query = head
    yield 0, endpoint
    for place, values in (("request", asked), ("response", answer)):
        for name, value in values.items():
            yield 1, endpoint, place, name
            yield 2, endpoint, place, name, type(value).__name__
    yield 3, endpoint, status
    yield 4, endpoint, auth
    if query:
        yield 5, endpoint, query


def _traffic(variants: Sequence[Sequence[Variant]], exchanges: int) -> Iterator[Exchange]:
    """Draw exchanges: the endpoint by Zipf's law, its variant by weight among those that have begun."""
    draw = _seeded(7)
    zipf = list(accumulate(1 / rank for rank in range(1, len(variants) + 1)))
    for number in range(exchanges):
        ways = draw.choices(variants, cum_weights=zipf)[0]
        way = ways[0]
        if draw.random() < 0.25:
            way = draw.choices(ways, [each.weight if each.since * exchanges <= number else 0.0 for each in ways])[0]
        yield Exchange(way, draw.randrange(10**6), START + number / RATE)


def _under_attack(variants: Sequence[Sequence[Variant]]) -> Iterator[Exchange]:
    """Mix ordinary traffic with as much of an attacker's, a third of which aims at real endpoints."""
    draw = _seeded(13)
    for exchange in _traffic(variants, HOSTILE_S * RATE):
        yield exchange
        aimed = draw.random() < 1 / 3
        ours = draw.choice(variants)[0] if aimed else exchange.variant
        words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(8)]
        yield exchange._replace(
            variant=ours._replace(
                path=ours.path if aimed else f"/{words[0]}/{words[1]}/{words[2]}",
                request=ours.request if aimed else _headers(f"{words[3]}.example", AUTH[0], has_body=True),
                asked=json.dumps(dict.fromkeys(words[4:], 1)).encode(),
                facts=frozenset(fact for fact in ours.facts if aimed and "request" not in fact),
                is_hostile=True,
            )
        )


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same exchanges in every run
