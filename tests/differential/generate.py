"""Makes plans from a seed: every kind of exchange recurs, with details drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from tests.differential import http1_kinds, http2_kinds
from tests.differential.drawing import Maker
from tests.differential.plan import Connection, Exchange, Half, Plan, Protocol

Kind = Callable[[Maker], Exchange]

SERVER_NAMES = ("api.example.test", "www.example.test", "API.Example.TEST", "localhost")

# The connections of one round; rounds are added until there are enough exchanges.
ROUND = (
    *[Protocol.HTTP1] * 7,
    Protocol.HTTP1_TLS,
    Protocol.HTTP2,
    Protocol.HTTP2,
    Protocol.HTTP2_TO_1,
)


def generate(seed: int, count: int) -> Plan:
    """Make a plan of at least `count` exchanges; the same seed and count give the same plan."""
    random = Random(seed)
    decks = Decks(random)
    connections: list[Connection] = []
    while sum(len(connection.exchanges) for connection in connections) < count:
        for protocol in ROUND:
            connections.append(_connection(random, decks, protocol, f"c{len(connections)}"))
    return Plan(tuple(connections))


def generate_clear(seed: int, count: int) -> Plan:
    """Make a plan of at least `count` exchanges over HTTP/2 without TLS."""
    random = Random(seed)
    deck = _deal(random, http2_kinds.CLEAR)
    connections: list[Connection] = []
    while sum(len(connection.exchanges) for connection in connections) < count:
        name = f"c{len(connections)}"
        made = [next(deck)(Maker(random, f"{name}.{number}")) for number in range(2 * random.randint(2, 5))]
        exchanges = tuple(replace(each, request=_without_tls(each.request)) for each in made)
        connections.append(Connection(name, Protocol.HTTP2_CLEAR, exchanges))
    return Plan(tuple(connections))


def _without_tls(request: Half) -> Half:
    fields = tuple((b":scheme", b"http") if name == b":scheme" else (name, value) for name, value in request.fields)
    return replace(request, fields=fields)


class Decks:
    """Kinds in shuffled decks: each is drawn once before any is drawn again."""

    def __init__(self, random: Random) -> None:
        self.plain = _deal(random, http1_kinds.PLAIN + http1_kinds.IDLE)
        self.plain_behind_tls = _deal(random, http1_kinds.PLAIN)
        self.small = _deal(random, http1_kinds.SMALL)
        self.last = _deal(random, http1_kinds.LAST + http1_kinds.FAILING)
        self.last_behind_tls = _deal(random, http1_kinds.LAST)
        self.streams = _deal(random, http2_kinds.STREAMS)
        self.alone = _deal(random, http2_kinds.ALONE)
        self.translated = _deal(random, http2_kinds.TRANSLATED)


def _deal(random: Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    while True:
        yield from random.sample(kinds, len(kinds))


def _connection(random: Random, decks: Decks, protocol: Protocol, name: str) -> Connection:
    pipelined = protocol is Protocol.HTTP1 and random.random() < 0.25
    kinds = _kinds(random, decks, protocol, pipelined=pipelined)
    exchanges = tuple(kind(Maker(random, f"{name}.{number}")) for number, kind in enumerate(kinds))
    return Connection(name, protocol, exchanges, pipelined, random.choice(SERVER_NAMES))


def _kinds(random: Random, decks: Decks, protocol: Protocol, *, pipelined: bool) -> list[Kind]:
    many = random.randint(2, 5)
    if pipelined:
        return [next(decks.small) for _ in range(many)]
    if protocol is Protocol.HTTP2:
        alone = random.random() < 0.15
        return [next(decks.alone)] if alone else [next(decks.streams) for _ in range(2 * many)]
    if protocol is Protocol.HTTP2_TO_1:
        return [next(decks.translated) for _ in range(many)]
    if protocol is Protocol.HTTP1_TLS:
        return [*(next(decks.plain_behind_tls) for _ in range(many)), next(decks.last_behind_tls)]
    return [*(next(decks.plain) for _ in range(many)), next(decks.last)]
