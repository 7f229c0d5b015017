"""Delivery contract, line 12: metrics equal the counts and follow Prometheus' naming rules; `/healthz` shows delay."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from akto_mirror.accounts import Stats
from akto_mirror.outcomes import Dropped, Format, Outcome, Reason, Repair, Secret
from akto_mirror.snapshots import Account, Endpoint
from akto_mirror.telemetry import server
from akto_mirror.telemetry.observation import Observation
from akto_mirror.telemetry.server import STALE_S, MetricsServer
from tests.support.metrics import samples
from tests.support.proxy import DEADLINE, ROOT

SAMPLING = Account([(Endpoint("api.example", "GET", "/a/{id}", "2"), 5)], 7, 2, 1, 900)

NAME = re.compile(r"akto_mirror_[a-z_]+")


@contextmanager
def serving(stats: Stats, *, oldest_s: float = 0.0, spool_bytes: int | None = 7) -> Iterator[str]:
    """Serve the metrics of these counts."""

    def observe() -> Observation:
        return Observation(stats.snapshot(), 11, 64, spool_bytes, spool_bytes, oldest_s, SAMPLING)

    served = MetricsServer("127.0.0.1", 0, observe)
    try:
        yield f"http://127.0.0.1:{served.port}"
    finally:
        served.close()


def test_every_count_is_reported() -> None:
    """Line 12: the metrics have all counts, and add up."""
    stats = Stats()
    for _ in range(5):
        stats.capture()
    stats.lose(Dropped.QUEUE_FULL)
    stats.skip(Reason.STATUS)
    stats.repair([Repair("request", Format.JSON), Repair("response", Format.JSON), Repair("response", Format.TEXT)])
    stats.hide([Secret("name", "password", 3), Secret("value", "card", 2), Secret("payload", "unreadable", 1)])
    stats.move([b"x"] * 3, Outcome.QUEUED, Outcome.IN_FLIGHT)
    stats.move([b"x" * 300] * 3, Outcome.IN_FLIGHT, Outcome.SHIPPED)
    stats.attempt(0.5, [b"x" * 300] * 3, ok=True, doubtful=2)
    with serving(stats) as url:
        seen = samples(url)
    assert seen["akto_mirror_entries_captured_total"] == 6
    assert seen["akto_mirror_entries_ended_total shipped"] == 3
    assert seen["akto_mirror_entries_waiting queued"] == 2
    assert seen["akto_mirror_entries_dropped_total queue full"] == 1
    assert seen["akto_mirror_flows_skipped_total status"] == 1
    assert seen["akto_mirror_payloads_repaired_total json"] == 2
    assert seen["akto_mirror_payloads_repaired_total text"] == 1
    assert seen["akto_mirror_payloads_repaired_total grpc"] == 0
    assert seen["akto_mirror_secrets_hidden_total name password"] == 3
    assert seen["akto_mirror_secrets_hidden_total value card"] == 2
    assert seen["akto_mirror_secrets_hidden_total payload unreadable"] == 1
    assert seen["akto_mirror_sent_bytes_total"] == 900
    assert seen["akto_mirror_entries_sent_again_in_doubt_total"] == 2
    assert seen["akto_mirror_request_duration_seconds_count"] == 1
    assert seen["akto_mirror_request_duration_seconds_sum"] == 0.5
    assert seen["akto_mirror_queue_bytes"] == 11
    assert seen["akto_mirror_spool_bytes"] == 7
    assert seen["akto_mirror_endpoint_left_out_total api.example GET /a/{id} 2xx"] == 5
    assert seen["akto_mirror_endpoint_left_out_total    "] == 2
    assert seen["akto_mirror_sampling_endpoints"] == 2
    assert seen["akto_mirror_sampling_bytes"] == 900
    assert seen["akto_mirror_sampling_forgotten_total"] == 1


def test_without_a_spool_there_is_no_size_of_it() -> None:
    """Line 12: an unknown size is left out, not reported as 0."""
    with serving(Stats(), spool_bytes=None) as url:
        assert "akto_mirror_spool_bytes" not in samples(url)


@pytest.mark.parametrize(("oldest_s", "status"), [(0.0, 200), (STALE_S - 1, 200), (STALE_S + 1, 503)])
def test_health(oldest_s: float, status: int) -> None:
    """Line 12: `/healthz` returns 503 once entries have waited for too long."""
    with serving(Stats(), oldest_s=oldest_s) as url:
        answer = httpx.get(f"{url}/healthz", trust_env=False)
    assert answer.status_code == status
    assert answer.json()["healthy"] is (status == 200)


def test_names_follow_the_rules() -> None:
    """Line 12: only counters end in _total, times are seconds and sizes bytes, and each metric has a help text."""
    with serving(Stats()) as url:
        families = list(text_string_to_metric_families(httpx.get(f"{url}/metrics", trust_env=False).text))
    assert len(families) > 12
    for family in families:
        names = {sample.name for sample in family.samples}
        assert all(NAME.fullmatch(name) for name in names)
        assert all(name.endswith("_total") is (family.type == "counter") for name in names), names
        assert not re.search(r"_(ms|millis|kb|mb|mib|minutes|count|total_.*)$", family.name)
        assert family.documentation.endswith(".")
        assert family.type != "untyped"


def test_every_metric_is_documented() -> None:
    """Line 12: docs/metrics.md lists exactly the metrics that are served."""
    with serving(Stats()) as url:
        text = httpx.get(f"{url}/metrics", trust_env=False).text
    served = {NAME.match(line.removeprefix("# HELP "))[0] for line in text.splitlines() if line.startswith("# HELP ")}  # type: ignore[index]
    assert served == set(NAME.findall((ROOT / "docs" / "metrics.md").read_text()))


def test_silent_clients_hold_no_more_than_their_places(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Silent clients occupy a bounded number of threads for a limited time; nothing is printed."""
    monkeypatch.setattr(server, "CLIENT_S", 2.0)
    before = threading.active_count()
    with serving(Stats()) as url, contextlib.ExitStack() as kept:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in range(60):
            connection = kept.enter_context(socket.create_connection(address, DEADLINE))
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /metr")
        healthy(url)  # Clients are accepted in order.
        # A thread and a timer for each client, and the listening thread.
        assert threading.active_count() - before <= 2 * server.MAX_CLIENTS + 1
        until(lambda: healthy(url))
    assert capfd.readouterr().err == ""


def test_a_look_that_hangs_holds_neither_the_end_nor_other_clients() -> None:
    """A disk that hangs delays only its own request, not other clients or the end."""
    asked, over = threading.Semaphore(0), threading.Event()

    def observe() -> Observation:
        asked.release()
        over.wait(DEADLINE)
        raise OSError("the disk is gone")

    served = MetricsServer("127.0.0.1", 0, observe)
    with contextlib.ExitStack() as kept:
        for _ in range(2):
            client = kept.enter_context(socket.create_connection(("127.0.0.1", served.port), DEADLINE))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert all(asked.acquire(timeout=DEADLINE) for _ in range(2))
        served.close()
        assert client.recv(1) == b""
    over.set()


def healthy(url: str) -> bool:
    """Return whether the server accepts one more client."""
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread will meet."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
