"""`akto-mirror run --processes`: several workers at one address, killed and ended, with their combined counts."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from akto_mirror.delivery.spool.spool import Spool
from tests.e2e import workers
from tests.faults import kills, soak
from tests.faults.load import Api, Clients
from tests.faults.server import OK, FaultServer, status, wait_for
from tests.support.proxy import DEADLINE, RUN, end, under_run

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="several processes are for Linux"),
]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A target."""
    with Api() as running_api:
        yield running_api


def test_a_killed_worker_breaks_its_own_connections_only(api: Api, tmp_path: Path) -> None:
    """Connections of other workers stay, new ones are served at once, and the worker is restarted."""
    with FaultServer(status(503)) as akto, contextlib.ExitStack() as stack:
        with workers.serving([workers.url(api)], akto, tmp_path, akto_durability="disk") as proxy:

            def connect() -> http.client.HTTPConnection:
                made = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=DEADLINE)
                assert _asks(stack.enter_context(contextlib.closing(made)))
                return made

            served: dict[http.client.HTTPConnection, int] = {}
            while len(set(served.values())) < 2:
                connection = connect()
                served[connection] = workers.worker_of(proxy, connection.sock)
            killed = next(iter(served.values()))
            os.kill(killed, signal.SIGKILL)
            assert [_asks(each) for each in served] == [pid != killed for pid in served.values()]
            for _ in range(5):
                connect()
            proxy.wait_for(r"^\[[\d:.]+\] akto: worker \d ended \(killed by SIGKILL\); restarting it in 0.1 s$")
            wait_for(lambda: workers.mirroring_lines(proxy) == 3 and len(proxy.workers) == 2, DEADLINE)
        assert workers.summary(proxy)["captured"] >= 6


def _asks(connection: http.client.HTTPConnection) -> bool:
    """Send a request; returns True if it was answered, False if the connection broke."""
    try:
        connection.request("GET", "/r/1")
        with connection.getresponse() as answer:
            answer.read()
            return answer.status == 200
    except (ConnectionError, http.client.RemoteDisconnected):
        return False


@pytest.mark.slow
def test_a_killed_workers_batches_are_taken_over(api: Api, tmp_path: Path) -> None:
    """After the lease each batch is sent once; shipped entries and those lost in memory add up to the captured ones."""
    with FaultServer(status(503)) as akto, Clients(4, 0.005) as clients:
        with workers.serving([workers.url(api)], akto, tmp_path, akto_durability="disk", akto_linger_ms="100") as proxy:
            clients.port = proxy.port
            wait_for(lambda: len(clients.answered) > 100, DEADLINE)
            clients.stop()
            spool = Spool(tmp_path / "spool", target="", limit=1, owner="oracle")
            wait_for(lambda: sum(share.entries for share in spool.waiting()) >= len(clients.answered), DEADLINE)
            os.kill(proxy.workers[0], signal.SIGKILL)
            akto.script = OK
            wait_for(lambda: clients.answered.keys() <= akto.taken.keys(), 90)
        assert set(akto.taken.values()) == {1}
        counts = workers.summary(proxy)
        assert (counts["shipped"], counts["spooled"], counts["dropped"]) == (len(akto.taken), 0, 0), proxy.log[-1]
        assert counts["captured"] + counts.get("recovered", 0) == len(akto.taken)


def test_what_one_worker_redacts_is_in_the_sum(api: Api, tmp_path: Path) -> None:
    """Metrics sum the redacted secrets and sampled-out exchanges of all workers."""
    options = {"akto_redact_fields": "common", "akto_sample": "novel", "akto_metrics": "127.0.0.1:0"}
    with FaultServer() as akto, workers.serving([workers.url(api)], akto, tmp_path, **options) as proxy:
        port = proxy.wait_for(r"^\[1\] .*akto: metrics at http://127.0.0.1:(\d+)/metrics")[1]
        for _ in range(40):
            found = httpx.get(f"{proxy.url}/r/1?password=x", trust_env=False, timeout=DEADLINE)
            assert found.status_code == 200

        def shown(name: str) -> set[float]:
            pages = [httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text for _ in range(4)]
            families = [list(text_string_to_metric_families(page)) for page in pages]
            return {sum(s.value for each in one for s in each.samples if s.name == name) for one in families}

        def sent() -> set[float]:
            return {40 - left for left in shown("akto_mirror_endpoint_left_out_total")}

        names = ("akto_mirror_entries_captured_total", "akto_mirror_secrets_hidden_total")
        wait_for(lambda: len(sent()) == 1 and all(shown(name) == sent() for name in names), DEADLINE)
    assert workers.summary(proxy)["captured"] == sum(akto.taken.values()) < 40


def test_metrics_and_the_log_are_of_all(api: Api, tmp_path: Path) -> None:
    """One address shows the sums, whichever worker answers; each log line of a worker has its number."""
    with (
        FaultServer() as akto,
        workers.serving([workers.url(api)], akto, tmp_path, akto_metrics="127.0.0.1:0") as proxy,
    ):
        port = proxy.wait_for(r"^\[1\] .*akto: metrics at http://127.0.0.1:(\d+)/metrics")[1]
        assert proxy.wait_for(r"^\[2\] .*akto: metrics at http://127.0.0.1:(\d+)/metrics")[1] == port
        for number in range(20):
            with httpx.Client(trust_env=False, timeout=DEADLINE) as client:
                assert client.get(f"{proxy.url}/r/{number}").status_code == 200

        def shown(name: str) -> set[float]:
            pages = [httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text for _ in range(4)]
            samples = [
                each for page in pages for family in text_string_to_metric_families(page) for each in family.samples
            ]
            return {each.value for each in samples if each.name == name}

        wait_for(lambda: shown("akto_mirror_entries_captured_total") == {20.0}, DEADLINE)
        assert shown("akto_mirror_queue_limit_bytes") == {67108864.0}
        health = httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        assert json.loads(health.text)["healthy"] is True
    assert workers.summary(proxy)["shipped"] == 20


def test_a_second_signal_ends_at_once(api: Api, tmp_path: Path) -> None:
    """As with one process, the first signal flushes and the second leaves the rest on disk."""
    with (
        FaultServer(status(503)) as akto,
        workers.serving([workers.url(api)], akto, tmp_path, akto_shutdown_s="600") as proxy,
    ):
        assert httpx.get(f"{proxy.url}/r/1", trust_env=False).status_code == 200
        proxy.process.send_signal(signal.SIGTERM)
        wait_for(lambda: akto.seen.requests > 0, DEADLINE)
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(DEADLINE) == 0
        wait_for(lambda: any("akto: captured" in line for line in proxy.log), DEADLINE)
        found = workers.summary(proxy)
        # The other worker may take over what the first one leaves; it is counted once.
        assert (found["captured"], found["spooled"], found.get("recovered", 0)) == (1, 1, 0)


def test_workers_end_with_their_parent(api: Api, tmp_path: Path) -> None:
    """Workers end with their parent, which alone could replace or end them."""
    with FaultServer() as akto, workers.serving([workers.url(api)], akto, tmp_path) as proxy:
        left = proxy.workers
        proxy.process.kill()
        wait_for(lambda: all(workers.has_ended(pid) for pid in left), DEADLINE)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_and_soak_with_two_processes(tmp_path: Path) -> None:
    """The guarantees for old enough batches and random faults also hold for several workers killed at once."""
    (tmp_path / "kills").mkdir()
    (tmp_path / "soak").mkdir()
    with under_run(2):
        verdict = kills.run(3, tmp_path / "kills", seed=1, longest_s=8.0)
        tally = soak.run(40, tmp_path / "soak", seed=1)
    assert (verdict.lost, verdict.invented) == (0, 0), verdict
    assert verdict.owed > 0, verdict
    assert tally.is_good, tally


@pytest.mark.parametrize(
    ("words", "line"),
    [
        pytest.param(
            ["--mode", "dns@0"],
            "cannot be combined with the mode dns@0, which is not a TCP listener",
            marks=pytest.mark.slow,
        ),
        (["-w", os.devnull], "cannot be combined with -w; leave out `--processes`, or leave out -w"),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) else "",
)
def test_what_cannot_be_shared_is_refused(words: list[str], line: str) -> None:
    """One line names what cannot be shared and what to do, and the start ends."""
    done = end(RUN, "--processes", "2", *words)
    found = [each for each in (done.stdout + done.stderr).splitlines() if "--processes" in each]
    assert done.returncode == 1
    assert len(found) == 1, done.stdout + done.stderr
    assert line in found[0]


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems the start ends with one line."""
    from akto_mirror.runner import several  # noqa: PLC0415 - loads what sets the event loop's policy

    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit, match="akto-mirror run: --processes above 1 works on Linux only; leave it out"):
        several.supervise(2, [])
