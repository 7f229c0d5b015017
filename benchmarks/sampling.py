"""How much of an API `akto_sample=novel` finds, and at what cost, compared with `all` and random sampling.

A million synthetic exchanges of 500 endpoints go through `Capture`: their frequencies follow Zipf's law, and each
endpoint has rare variants, half of which begin late in the run. Every exchange knows which facts it shows, so that the
result is judged without the measured code. Ids in paths and bodies, and tokens, differ from exchange to
exchange.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
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
RATE = 1_000  # exchanges per second, by the times of the exchanges
START = 1_785_585_600.0
HOSTILE_S = 120
USERS = 1_000

# CPU time is compared part by part, one after another on the same machine.
PARTS = 20

# Placeholder for the number of the exchange.
NUMBER = 123_456_789_123
KINDS = ("endpoints", "fields", "types", "statuses", "authentication", "query parameters")

AUTH = (("authorization", "Bearer "), ("authorization", "Basic eDp5"), ("x-api-key", "k"), ("cookie", "sessionid="))
VALUES: tuple[Any, ...] = (7, "text", True, None, 1.5)

Fields = tuple[tuple[bytes, bytes], ...]

# A fact: the index of its kind in KINDS, the endpoint, and its text.
Fact = tuple[Any, ...]


class Variant(NamedTuple):
    """One way in which an endpoint is used.

    Attributes:
        weight: how often it is used, relative to the endpoint's other variants.
        since: the share of the run after which it begins.
        facts: the facts that it shows.
        is_hostile: whether an attacker sends it.
    """

    weight: float
    since: float
    method: str
    path: str
    status: int
    request: Fields
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
    """The results of a run."""

    exchanges: int = 0
    shipped: int = 0
    size: int = 0
    cpu_s: float = 0.0
    there: set[Fact] = field(default_factory=set)
    found: set[Fact] = field(default_factory=set)
    by_attacker: int = 0
    shipped_of_attacker: int = 0

    def share(self, kind: int) -> str:
        """Return the share of the facts of a kind that was found."""
        there = sum(fact[0] == kind for fact in self.there)
        found = sum(fact[0] == kind for fact in self.found)
        return f"{100 * found / there:.1f} %" if found < there else "100 %"


def report(exchanges: int) -> str:
    """Measure and return the section."""
    variants = [list(_variants(number, _seeded(number))) for number in range(ENDPOINTS)]
    gc.freeze()
    tenth = max(PARTS, exchanges // 10)
    with peers.running_ingestion() as ingestion:
        everything, novel = Mirror("all", ingestion.url), Mirror("novel", ingestion.url)
        ratios = _side_by_side(everything, novel, _traffic(variants, tenth), _traffic(variants, exchanges), exchanges)
        hostile = Mirror("novel", ingestion.url)
        hostile.pass_on(_under_attack(variants))
        mirrors = (everything, novel, hostile)
        for each in mirrors:
            each.close()
        arrived = ingestion.entries
    chance = _by_chance(_traffic(variants, exchanges), novel.run.shipped / novel.run.exchanges)
    if arrived != sum(each.run.shipped for each in mirrors):
        raise RuntimeError(f"the figures are void: {arrived} entries arrived")
    runs = (("all", everything.run), ("novel", novel.run), ("by chance", chance))
    rows = [_row(*run, everything.run) for run in runs]
    return "\n\n".join(
        [
            "### Sampling",
            f"{table.machine()}. {exchanges:,} exchanges of {ENDPOINTS} endpoints and {USERS:,} users, {RATE:,} a "
            "second in recorded time, through `Capture` and the shipper to an ingestion service in another process. "
            "CPU time is that of capture and delivery, until the last entry has arrived. By chance: as many "
            "exchanges as novel, drawn uniformly at random. For all, only a tenth of the exchanges were run, because "
            "nothing is left out.",
            table.render(("", "shipped", "bytes of all", "CPU per request", *KINDS), rows),
            f"CPU time per request with novel, relative to all: {table.confident(ratios, 2)}, from {PARTS} parts run "
            f"in turns. {novel.memory()}",
            _attacked(hostile),
        ]
    )


def _side_by_side(
    everything: Mirror, novel: Mirror, fewer: Iterator[Exchange], more: Iterator[Exchange], exchanges: int
) -> list[float]:
    """Mirror each part both ways in turn; return the CPU time per request of `novel` in each, relative to `all`."""
    ratios = []
    for _ in range(PARTS):
        cpu_s = everything.pass_on(islice(fewer, max(1, exchanges // 10 // PARTS)))
        ratios.append(novel.pass_on(islice(more, exchanges // PARTS)) / cpu_s)
    return ratios


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


def _attacked(mirror: Mirror) -> str:
    run = mirror.run
    shares = ", ".join(f"{kind} {run.share(number)}" for number, kind in enumerate(KINDS))
    return (
        f"Under attack, with novel: for {HOSTILE_S} s an attacker sent as many requests again, with random paths, "
        f"hosts and fields, {run.by_attacker:,} in all, of which {run.shipped_of_attacker:,} were shipped. Found in "
        f"the other traffic: {shares}. {mirror.memory()}"
    )


class Mirror:
    """Capture and shipper, as in the addon.

    Args:
        sample: `akto_sample`.
        url: `akto_url`.

    Attributes:
        run: the results so far.
    """

    def __init__(self, sample: str, url: str) -> None:
        self.run = Run()
        defaults = {option.name: option.default for option in OPTIONS}
        given = {"akto_url": url, "akto_sample": sample, "akto_durability": "memory", "akto_shutdown_s": 60}
        settings = read(defaults | given, {})
        self._capture = Capture(settings.capture, "marker")
        self._shipper = Shipper(settings.delivery, choose.open_sink(settings.sink, "marker"), Stats())
        self._before = _resident_mib()
        self._flow = _flow()

    def pass_on(self, traffic: Iterator[Exchange]) -> float:
        """Mirror exchanges, and return the CPU seconds per request, without the cost of generating them."""
        exchanges, cpu_s = 0, 0.0
        while part := list(islice(traffic, 1_000)):
            exchanges += len(part)
            cpu_s -= self._dress(part)
            start = time.process_time()
            sizes = [self._mirror(each) for each in part]
            self._wait()
            cpu_s += time.process_time() - start
            for each, size in zip(part, sizes, strict=True):
                _count(self.run, each.variant, size)
        self.run.cpu_s += cpu_s
        return cpu_s / exchanges

    def close(self) -> None:
        """Close the shipper."""
        self._shipper.close().result()

    def memory(self) -> str:
        """Describe the state that sampling holds."""
        account = self._capture.account(0)
        if account is None:
            return ""
        return (
            f"Sampling knew {account.endpoints:,} endpoints in {account.size / 2**20:.1f} MiB at the end; the process "
            f"grew by {_resident_mib() - self._before:.0f} MiB."
        )

    def _mirror(self, exchange: Exchange) -> int:
        """Mirror an exchange, and return the bytes of its entry."""
        _dress(self._flow, exchange)
        made = self._capture.of(self._flow)
        if not isinstance(made, Captured):
            return 0
        self._shipper.offer(made.encoded)
        self._capture.sent(made)
        return len(made.encoded)

    def _wait(self) -> None:
        """Wait until all offered entries have arrived."""
        self._shipper.flush()
        while self._shipper.stats.snapshot().pending:
            time.sleep(0.02)

    def _dress(self, part: list[Exchange]) -> float:
        """Return the CPU seconds that turning the flow into these exchanges takes."""
        start = time.process_time()
        for each in part:
            _dress(self._flow, each)
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
    """Turn the flow into an exchange of a variant."""
    variant, number, when = exchange
    request, response = flow.request, flow.response
    assert response is not None  # noqa: S101 - made with one; for the type checker
    digits = b"%d" % number
    token = b"%d" % (number % USERS)
    request.data.method = variant.method.encode()
    request.data.path = variant.path.replace("{id}", str(number)).encode()
    request.data.headers = http.Headers(
        (*variant.request[:-1], (variant.request[-1][0], variant.request[-1][1] + token))
    )
    request.data.content = variant.asked.replace(_NUMBER, digits)
    response.data.status_code = variant.status
    response.data.headers = JSON
    response.data.content = variant.answered.replace(_NUMBER, digits)
    response.data.timestamp_end = when


_NUMBER = b"%d" % NUMBER

JSON = http.Headers([(b"content-type", b"application/json"), (b"server", b"nginx/1.22.1")])


def _variants(endpoint: int, draw: random.Random) -> Iterator[Variant]:
    """Make an endpoint's variants: a common one, and rarer ones that each show one more fact."""
    host, method = f"api{endpoint % 5}.example", draw.choice(("GET", "POST", "PUT"))
    resource_name = "".join(draw.choices("abcdefghijklmnop", k=7))
    path = f"/v1/{resource_name}/{{id}}/{draw.choice(('items', 'history', 'settings'))}"
    names = [f"{resource_name}{chr(97 + number)}" for number in range(draw.randint(6, 20))]
    for number in range(VARIANTS):
        weight = 1.0 if number == 0 else draw.choice((0.1, 0.01, 0.003))
        asked = {name: draw.choice(VALUES) for name in names[:4]} | {"order": NUMBER} if method != "GET" else None
        answer: dict[str, Any] = dict.fromkeys(names, f"text {NUMBER}") | {"notes": "x" * draw.randint(200, 2_000)}
        answer |= {"number": NUMBER}
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


def _headers(host: str, auth: tuple[str, str], *, has_body: bool) -> Fields:
    """Return header fields; a user's token is appended to the last one."""
    fields = {"host": host, "user-agent": "client/1.0", "accept": "application/json", "accept-encoding": "gzip"}
    fields |= ({"content-type": "application/json"} if has_body else {}) | {auth[0]: auth[1]}
    return tuple((name.encode(), value.encode()) for name, value in fields.items())


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
