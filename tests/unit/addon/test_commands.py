"""The akto. commands: what users see and control from mitmproxy's command lines."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.test import tflow
from prometheus_client.registry import CollectorRegistry

from akto_mirror import threads
from akto_mirror.accounts import Stats
from akto_mirror.addon import commands
from akto_mirror.ingestion.service import Receiver
from akto_mirror.outcomes import Dropped, Outcome, Reason
from akto_mirror.telemetry import server
from akto_mirror.telemetry.observation import Observation
from tests.support.commands import call, flow
from tests.support.harness import mirroring


def test_stats_are_those_of_the_log() -> None:
    """The command akto.stats shows the counts in one line, which begins like the log's last line."""
    with mirroring() as running:
        running.pass_on(flow())
        running.pass_on(flow(status=404))
        shown = call(running, "akto.stats")
    assert shown.startswith("captured 1 = ")
    assert "; skipped 1 (status 1); " in shown


def test_stats_are_those_of_the_metrics() -> None:
    """Line 12: each number in the metrics is also in akto.stats."""
    stats = Stats()
    for _ in range(11):
        stats.capture()
    stats.recover(12)
    stats.skip(Reason.STATUS)
    stats.shorten()
    stats.lose(Dropped.QUEUE_FULL)
    stats.move([b"x"] * 8, Outcome.QUEUED, Outcome.IN_FLIGHT)
    stats.move([b"x"] * 6, Outcome.IN_FLIGHT, Outcome.SHIPPED)
    stats.move([b"x"] * 4, Outcome.SPOOLED, Outcome.REJECTED)
    stats.move([b"x"] * 5, Outcome.SPOOLED, Outcome.HANDED_OVER)
    stats.attempt(70.25, [b"x" * 901], ok=True)
    seen = Observation(stats.snapshot(), 1001, 1002, 1003, 1004, 1005.0)
    with mirroring() as running:
        running.addon.session.observe = lambda: seen  # type: ignore[method-assign]
        shown = call(running, "akto.stats")
    registry = CollectorRegistry()
    registry.register(server._Collector(lambda: seen))
    served = {sample.value for family in registry.collect() for sample in family.samples}
    assert len(served) > 12
    assert served <= {float(number) for number in re.findall(r"[\d.]*\d", shown)} | {0.0}


def test_stats_do_not_wait_for_the_disk() -> None:
    """Line 12: if the disk is slow, akto.stats shows the counts without the sizes."""
    with mirroring() as running:
        running.addon.session.observe = lambda: time.sleep(60)  # type: ignore[method-assign, assignment, return-value]
        assert call(running, "akto.stats").endswith("; the disk is slow")


def test_flush_does_not_wait_for_the_linger() -> None:
    """The command akto.flush sends the waiting entries."""
    with Receiver() as akto, mirroring(url=akto.url, linger_ms=600_000) as running:
        assert call(running, "akto.flush") == "nothing is waiting to be sent"
        running.pass_on(flow())
        assert call(running, "akto.flush") == "sending 1 entry; see akto.stats"
        akto.wait_for(1, 30)


def test_preview_shows_entry_and_outcome() -> None:
    """The command akto.preview shows what would be shipped, and for a skipped flow also the reason."""
    with mirroring() as running:
        rows = call(running, "akto.preview", [flow("/a"), flow("/b", content_type="text/html")])
        assert running.entries() == []
    assert [value for name, value in rows if name == "outcome"] == ["captured", "skipped (content type text/html)"]
    assert [value for name, value in rows if name == "path"] == ["/a", "/b"]
    assert [value for name, value in rows if name == "statusCode"] == ["200", "200"]


def test_preview_shows_what_was_repaired() -> None:
    """Repairs are shown by side and format, after the outcome."""
    cut = flow("/a")
    assert cut.response
    cut.response.content = b'{"a":[' + b"1," * 9 + b"2]}"
    with mirroring(body_limit=10) as running:
        rows = call(running, "akto.preview", [cut])
    assert rows[0] == ["outcome", "captured, repaired: response json"]
    assert (
        "".join(value.strip() for _, value in rows[[name for name, _ in rows].index("responsePayload") :][:5])
        == '{"a": [1]}'
    )


def test_preview_shows_what_was_hidden() -> None:
    """Redactions are shown by name and kind after the outcome, without the secret; the metrics count the same."""
    given = flow("/a?token=hunter2")
    assert given.response
    given.response.content = b'{"password":"hunter2","note":"4111111111111111"}'
    with mirroring(redact_fields=["common"], redact_values=["common"]) as running:
        rows = call(running, "akto.preview", [given])
        running.pass_on(given)
        counted = running.addon.session.observe().counts.hidden
    outcome, _, hidden = rows[0][1].partition(", hidden: ")
    assert (outcome, sorted(hidden.split(", "))) == ("captured", ["name password 1", "name token 1", "value card 1"])
    assert not any(secret in value for _, value in rows for secret in ("hunter2", "4111111111111111"))
    assert dict(counted) == {("name", "password"): 1, ("name", "token"): 1, ("value", "card"): 1}


def test_preview_can_be_read() -> None:
    """Headers are one per line and JSON is indented; characters unsafe for a terminal are escaped as in JSON."""
    made = flow("/a")
    assert made.response
    made.response.headers.fields = ((b"content-type", b"application/json"), (b"x-a", "é\x9b".encode()))
    made.response.raw_content = b'{"items":[1],"quote":"\\"\\u001b"}'
    with mirroring() as running:
        rows = call(running, "akto.preview", [made])
    start = [name for name, _ in rows].index("responseHeaders")
    assert rows[start : start + 2] == [["responseHeaders", "content-type: application/json"], ["", "x-a: é\\u009b"]]
    start = [name for name, _ in rows].index("responsePayload")
    wanted = ["{", '  "items": [', "    1", "  ],", '  "quote": "\\"\\u001b"', "}"]
    assert rows[start : start + 6] == [["responsePayload", "{"], *(["", line] for line in wanted[1:])]
    assert all(len(row) == 2 and all(cell.isprintable() for cell in row) for row in rows)


def test_ship_sends_whatever_the_rules_say() -> None:
    """The command akto.ship sends the given flows, even those that a rule would skip."""
    with Receiver() as akto, mirroring(url=akto.url, linger_ms=600_000) as running:
        assert call(running, "akto.ship", [flow("/a", status=500), flow("/b")]) == "sending 2 flows; see akto.stats"
        akto.wait_for(2, 30)
        assert [entry["path"] for entry in akto.entries] == ["/a", "/b"]


@pytest.mark.parametrize("name", ["akto.preview", "akto.ship"])
def test_flows_without_a_response_are_reported(name: str) -> None:
    """If no given flow can be shipped, the answer says which flows can."""
    with mirroring() as running, pytest.raises(exceptions.CommandError, match="that have a response"):
        call(running, name, [tflow.tflow(), tflow.ttcpflow()])


@pytest.mark.parametrize(("name", "arguments"), [("akto.flush", []), ("akto.ship", [[flow()]])])
def test_a_dry_run_cannot_send(name: str, arguments: list[Any]) -> None:
    """Without akto_url there is nowhere to send to, and the answer says so."""
    with mirroring(url="") as running, pytest.raises(exceptions.CommandError, match="set akto_url first"):
        call(running, name, *arguments)


@pytest.mark.parametrize("is_slow", [False, True])
def test_check_answers(is_slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast check answers at once with the problem and the remedy; a slow one says where the answer will appear."""
    monkeypatch.setattr(threads, "PATIENCE_S", 0.0 if is_slow else 30.0)
    answered, steps = threading.Event(), commands._check
    if is_slow:
        monkeypatch.setattr(commands, "_check", lambda *given: answered.wait(30) and steps(*given))
    with Receiver(token="right") as akto:
        for url, token, message in (
            (akto.url, "right", "all is well: resolve, connect, /healthCheck, /api/auth-check"),
            (akto.url, "wrong", "/api/auth-check: "),
            ("http://127.0.0.1:1", "", "connect: "),
        ):
            with mirroring(url=url, token=token) as running:
                answer = call(running, "akto.check")
                answered.set()
            assert answer.startswith(f"checking {url}" if is_slow else message)
            answered.clear()


def test_check_reports_each_step(caplog: pytest.LogCaptureFixture) -> None:
    """The command akto.check writes its steps to the event log, without blocking mitmproxy."""
    caplog.set_level(logging.INFO)
    with Receiver() as akto, mirroring(url=akto.url) as running:
        call(running, "akto.check")
        _wait_for(caplog, "✓ /api/auth-check", 30)
    assert "akto: ✓ connect" in caplog.text


def _wait_for(caplog: pytest.LogCaptureFixture, text: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while text not in caplog.text:
        assert time.monotonic() < end, caplog.text
        time.sleep(0.01)


def test_every_command_has_a_help_text() -> None:
    """Every command has a docstring, which mitmproxy shows as help."""
    with mirroring() as running:
        commands = running.context.master.commands.commands
        mine = {name: shown.help for name, shown in commands.items() if name.startswith("akto.")}
    assert set(mine) == {"akto.stats", "akto.flush", "akto.check", "akto.preview", "akto.ship"} | {
        "akto.dead",
        "akto.dead.retry",
        "akto.dead.drop",
        "akto.pause",
        "akto.resume",
    }
    assert all(mine.values())
