"""Uploads that their target refuses: at every point, in every way, from clients of every kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import product
from random import Random
from typing import NamedTuple

from tests.differential import http1_kinds, http2_kinds
from tests.differential.drawing import KIB, Maker, chunked
from tests.differential.plan import Connection, End, Exchange, Half, Plan, Protocol, Refusal, Twist

MB = 1_000_000
SMALL = (MB // 10, 3 * MB // 10)
LARGE = (8 * MB,)
HUGE = 80 * MB

BODY = b'{"error": "too large"}'

LENGTH, CHUNKED = "length", "chunked"


def over_http1(seed: int, sizes: Sequence[int]) -> Plan:
    """Make uploads of these sizes with every end and framing."""
    return _plan(seed, _cases(sizes))


def huge(seed: int) -> Plan:
    """Make uploads of 80 MB, whose rest is more than the proxy discards."""
    ends = {End.READS: LENGTH, End.LINGERS: LENGTH, End.CLOSES: LENGTH, End.STOPS: CHUNKED, End.RESETS: CHUNKED}
    return _plan(seed, [Case(HUGE, end, framing) for end, framing in ends.items()])


class Case(NamedTuple):
    """A case of a refused upload.

    Attributes:
        size: bytes of the body.
        end: what the target does after its response.
        framing: `LENGTH` or `CHUNKED`.
        share: the share of the body that the target reads before it responds.
        writes_first: the client reads nothing until it has written everything.
    """

    size: int
    end: End
    framing: str
    share: float = 0
    writes_first: bool = False


def _cases(sizes: Sequence[int]) -> Iterator[Case]:
    """Yield all combinations of size, end, framing and `writes_first`; the shares take turns."""
    for number, (size, end, framing, first) in enumerate(product(sizes, End, (LENGTH, CHUNKED), (False, True))):
        yield Case(size, end, framing, (0, 0.5, 1, 0.01)[number % 4 if size < MB else number % 3], first)


def _plan(seed: int, cases: Iterable[Case]) -> Plan:
    random = Random(seed)
    made = [_http1(Maker(random, f"r{number}"), number, case) for number, case in enumerate(cases)]
    return Plan(tuple(Connection(f"c{exchange.id}", Protocol.HTTP1, (exchange,)) for exchange in made))


def over_http2(seed: int, sizes: Sequence[int]) -> Plan:
    """Make uploads over HTTP/2, several on a connection, whose target reads on or resets the stream."""
    random = Random(seed)
    cases = list(product(sizes, (End.READS, End.RESETS), (False, True), (0, 0.5)))
    made = [_http2(Maker(random, f"h{number}"), *case) for number, case in enumerate(cases)]
    groups = [tuple(made[start : start + 4]) for start in range(0, len(made), 4)]
    return Plan(tuple(Connection(f"c{group[0].id}", Protocol.HTTP2, group) for group in groups))


def _http2(maker: Maker, size: int, end: End, announced: bool, share: float) -> Exchange:
    body = _body(size)
    fields = [(b"content-type", b"application/octet-stream")]
    fields += [(b"content-length", b"%d" % len(body))] if announced else []
    refusal = Refusal(int(len(body) * share), end)
    asked = http2_kinds.request(maker, fields, body)
    given = http2_kinds.answer(maker, [(b"content-type", b"application/json")], BODY, status=b"413")
    kind = f"HTTP/2 refused upload of {size} bytes, {refusal}"
    return Exchange(maker.id, kind, "POST", asked, given, Twist.REFUSED, refusal=refusal)


@cache
def _body(size: int) -> bytes:
    return Random(size).randbytes(4 * KIB) * (size // (4 * KIB))


def _http1(maker: Maker, number: int, case: Case) -> Exchange:
    body = _body(case.size)
    lines = [b"Content-Type: application/octet-stream", *([b"Expect: 100-continue"] if number % 3 == 0 else [])]
    if case.framing == LENGTH:
        asked = http1_kinds.request(maker, [*lines, http1_kinds.sized(body)], body)
    else:
        asked = http1_kinds.request(maker, [*lines, http1_kinds.CHUNKED], chunked(maker, body))
    pause = 0.02 if case.size < MB and number % 5 == 0 else 0
    refusal = Refusal(int(len(body) * case.share), case.end, case.writes_first, pause)
    return Exchange(
        maker.id,
        f"refused upload of {case.size} bytes, {case.framing}, {refusal}",
        "POST",
        Half(asked.head, body=asked.body, pieces=16),
        _refusal(maker, number),
        Twist.REFUSED,
        closes=case.end is not End.READS,
        last=True,
        refusal=refusal,
    )


def _refusal(maker: Maker, number: int) -> Half:
    """Make a response in one of its framings, sent in one piece, of which mitmproxy loses nothing."""
    body = BODY
    forms = (
        http1_kinds.answer(maker, [http1_kinds.sized(body)], body, status=b"413 Payload Too Large"),
        http1_kinds.answer(maker, [b"Connection: close", http1_kinds.sized(body)], body, status=b"401 Unauthorized"),
        http1_kinds.answer(maker, [http1_kinds.CHUNKED], chunked(maker, body), status=b"413 Payload Too Large"),
    )
    return forms[number % len(forms)]
