"""What the addon ships with `akto_fidelity=worker` is what Akto's Worker shipped when it was recorded."""

from __future__ import annotations

import fcntl
import os
import pickle
from pathlib import Path

import pytest

from tests.parity import goldens, platform, proxy
from tests.parity.cases import all_cases
from tests.parity.goldens import Fact
from tests.parity.proxy import Run

CASES = all_cases()
GOLDENS = goldens.load()
FIELDS = [
    *("path", "method", "requestHeaders", "responseHeaders", "requestPayload", "responsePayload", "ip", "time"),
    *("statusCode", "type", "status", "akto_account_id", "akto_vxlan_id", "is_pending", "source", "tag"),
]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Send all cases through one real mitmdump, once for all processes of a test run."""
    folder = tmp_path_factory.getbasetemp()
    return _shared(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


def _shared(folder: Path) -> Run:
    kept = folder / "parity.pickle"
    with (folder / "parity.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(proxy.run(CASES)))
    found: Run = pickle.loads(kept.read_bytes())
    return found


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_addon_ships_what_the_worker_ships(run: Run, name: str) -> None:
    """Each case has the same result as with the Worker: the same entry, or none."""
    assert platform.differences(name, GOLDENS[name], run.fact(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["always", "never"])
def test_streaming_changes_no_entry(stream: str) -> None:
    """Entries are the same whether bodies are streamed or buffered."""
    run = proxy.run(CASES, stream)
    found = {case.name: platform.differences(case.name, GOLDENS[case.name], run.fact(case.name)) for case in CASES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_fields_are_the_workers(run: Run) -> None:
    """Every entry has the Worker's fields in the Worker's order, with only strings as values."""
    for entries in run.entries.values():
        for entry in entries:
            assert list(entry) == FIELDS
            assert all(isinstance(value, str) for value in entry.values())


def test_time_is_that_of_the_exchange(run: Run) -> None:
    """`time` is in whole epoch seconds, within the run, and never decreases from one exchange to the next."""
    times = [int(entry["time"]) for entries in run.entries.values() for entry in entries]
    assert times == sorted(times)
    assert int(run.began) <= times[0] <= times[-1] <= run.ended


def test_each_case_is_recorded() -> None:
    """The record has exactly the cases, so none is compared with nothing."""
    assert GOLDENS.keys() == {case.name for case in CASES}


def test_each_exemption_is_of_a_case() -> None:
    """Each exemption belongs to an existing case, and none is given twice."""
    names = [name for exemption in platform.EXEMPTIONS for name in exemption.names]
    assert len(names) == len(set(names))
    assert set(names) <= GOLDENS.keys()


SHIPPED: Fact = {
    "outcome": "shipped",
    "requestHeaders": '{"accept-encoding":"br, gzip","cf-connecting-ip":"127.0.0.1","host":"a","x":"\\""}',
    "path": "/",
}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "/other"}, "path"),
        ({"outcome": "skipped"}, "outcome"),
        ({"requestHeaders": '{"host":"a","x":""}'}, "requestHeaders"),
        ({"requestHeaders": '{"x":"\\"","host":"a"}'}, "requestHeaders"),
        ({"requestHeaders": '{"cf-connecting-ip":"1.1.1.1","host":"a","x":"\\""}'}, "requestHeaders"),
    ],
)
def test_a_difference_is_seen(change: Fact, field: str) -> None:
    """The comparison names a field that differs: in value, in order, or in a given address."""
    (line,) = platform.differences("some-case", SHIPPED, SHIPPED | change)
    assert line.startswith(f"{field}: ")


def test_platform_headers_are_left_out() -> None:
    """Headers that only the platform adds make no difference."""
    ours = SHIPPED | {"requestHeaders": '{"host":"a","x":"\\""}'}
    assert platform.differences("some-case", SHIPPED, ours) == []


def test_a_stale_exemption_is_seen() -> None:
    """An exemption that no longer matches the Worker's record is reported."""
    name = "websocket-post"
    assert platform.differences(name, GOLDENS[name] | {"method": "PUT"}, GOLDENS[name] | {"method": "PUT"})
