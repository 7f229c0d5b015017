"""Untouched: what client and target see through the addon is what they see through plain mitmdump."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.differential.client import play
from tests.differential.compare import Difference, compare, report
from tests.differential.generate import generate
from tests.differential.plan import Plan
from tests.differential.record import Record
from tests.differential.target import Sockets
from tests.support.proxy import ADDON, Proxy, running_mitmdump

SEED = 20240229

pytestmark = pytest.mark.e2e


class Bench:
    """A plan, the target's sockets, and what plain mitmdump makes of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sockets = Sockets()
        self._plain: dict[str, Record] = {}

    def run(self, options: Mapping[str, str], scripts: Sequence[Path]) -> tuple[Record, Proxy]:
        """Play the plan through a mitmdump of its own."""
        values = {"ssl_insecure": "true", "flow_detail": "0"} | dict(options)
        with running_mitmdump(*self.sockets.modes(), options=values, scripts=scripts) as proxy:
            record = play(self.plan, proxy.addresses, self.sockets)
        return record, proxy

    def plain(self, options: Mapping[str, str]) -> Record:
        """Play it through plain mitmdump, once for each set of options."""
        key = repr(sorted(options.items()))
        if key not in self._plain:
            self._plain[key] = self.run(options, ())[0]
        return self._plain[key]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(120, id="120-exchanges"),
        pytest.param(600, id="600-exchanges", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench for so many exchanges."""
    made = Bench(generate(SEED, request.param))
    yield made
    made.sockets.close()


def test_same_seed_gives_same_exchanges() -> None:
    """A plan depends on nothing but its seed and size."""
    assert generate(SEED, 200) == generate(SEED, 200)
    assert generate(SEED, 200) != generate(SEED + 1, 200)


def test_two_runs_of_plain_mitmdump_do_not_differ(bench: Bench) -> None:
    """The control: without it, a difference would prove nothing."""
    again, _ = bench.run({}, ())
    assert not again.hung
    assert_same(compare(bench.plan, bench.plain({}), again, streams=False))


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_addon_changes_nothing(bench: Bench, mode: str, tmp_path: Path) -> None:
    """Client and target receive the same through the addon, save for what `framing` lists where bodies pass."""
    entries = tmp_path / "entries.ndjson"
    options = {"akto_url": entries.as_uri(), "akto_stream": mode}
    record, _ = bench.run(options, (ADDON,))
    assert_same(compare(bench.plan, bench.plain({}), record, streams=mode != "never"))
    assert entries.stat().st_size > 0


def assert_same(differences: list[Difference]) -> None:
    """Fail with a readable report."""
    assert not differences, report(differences)
