"""Uploads that their target refuses end as with plain mitmdump, or better."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential import refusals
from tests.differential.bench import MODES, SEED, Bench, assert_same
from tests.differential.compare import compare
from tests.differential.framing import is_whole_answer
from tests.differential.plan import Exchange, Plan
from tests.differential.record import Record
from tests.support.proxy import ADDON

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


SIZES = [
    pytest.param(refusals.SMALL, id="0.1-and-0.3-MB"),
    pytest.param(refusals.LARGE, id="8-MB", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=SIZES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Uploads over HTTP/1."""
    yield from _bench(refusals.over_http1(SEED, request.param))


@pytest.fixture(scope="module", params=SIZES)
def http2_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Uploads over HTTP/2."""
    yield from _bench(refusals.over_http2(SEED, request.param))


@pytest.fixture(scope="module")
def huge_bench() -> Iterator[Bench]:
    """Uploads of 80 MB."""
    yield from _bench(refusals.huge(SEED))


def _bench(plan: Plan) -> Iterator[Bench]:
    made = Bench(plan)
    yield made
    made.sockets.close()


def run(bench: Bench, mode: str, folder: Path) -> Record:
    """Run a bench's plan with the addon."""
    own = {"akto_url": (folder / "entries.ndjson").as_uri()} | dict(MODES[mode].own)
    record, proxy = bench.run(own, (ADDON,))
    bad = [n for n, line in enumerate(proxy.log) if "please report" in line or "Traceback" in line or "crashed" in line]
    assert not bad, "\n".join(list(proxy.log)[bad[0] : bad[0] + 60])
    return record


def has_answer(record: Record, exchange: Exchange) -> bool:
    """Return whether an HTTP/1 client has received its target's whole response."""
    return any(is_whole_answer(message, exchange) for message in record.answers.get(exchange.id, ()))


@pytest.mark.slow
def test_two_runs_of_plain_mitmdump_do_not_differ(bench: Bench) -> None:
    """As a control, two runs of plain mitmdump are equal, and nothing hangs."""
    again, _ = bench.run({}, ())
    assert not again.hung
    assert_same(compare(bench.plan, bench.plain({}), again, streams=False))


@pytest.mark.parametrize("mode", MODES)
def test_refusals(bench: Bench, mode: str, tmp_path: Path) -> None:
    """Client and target see the same as through plain mitmdump; no response to a streamed upload is lost."""
    record = run(bench, mode, tmp_path)
    assert_same(compare(bench.plan, bench.plain({}), record, streams=MODES[mode].streams))
    if mode == "always":
        assert [each.kind for each in bench.plan.exchanges().values() if not has_answer(record, each)] == []


@pytest.mark.parametrize("mode", MODES)
def test_refusals_over_http2(http2_bench: Bench, mode: str, tmp_path: Path) -> None:
    """The same holds over HTTP/2, where a target resets a stream after its response."""
    record = run(http2_bench, mode, tmp_path)
    assert_same(compare(http2_bench.plan, http2_bench.plain({}), record, streams=MODES[mode].streams))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_refusals_of_huge_uploads(huge_bench: Bench, mode: str, tmp_path: Path) -> None:
    """The whole response arrives; the proxy discards only a part of the rest, so the connection may end differently."""
    record = run(huge_bench, mode, tmp_path)
    differences = compare(huge_bench.plan, huge_bench.plain({}), record, streams=MODES[mode].streams)
    assert_same([each for each in differences if each.what != "end at the client"])
    if MODES[mode].streams:
        assert [each.kind for each in huge_bench.plan.exchanges().values() if not has_answer(record, each)] == []
