"""Delivery contract, line 4: answers that mean success, to the shipper, a replay and the check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.cli import program
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.sinks import answers, destination
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.delivery.sinks.symptoms import Cause, Kind
from akto_mirror.diagnostics import checks
from tests.data.first_format.make import FLOWS
from tests.faults.server import OK, FaultServer, Reply, wait_for
from tests.support.shipping import fill, policy, shipping

# Answers that do not mean success, each with a word of the likely cause.
NOT_YES = {
    "a login page": (Reply(200, body=b"<!doctype html><title>Sign in</title>"), "login page"),
    "an empty answer": (Reply(200, body=b""), "another service"),
    "an empty 204": (Reply(204, body=b""), "ingestion service"),
    "a 201": (Reply(201), "ingestion service"),
    "a no": (Reply(200, body=b'{"success": false, "error": "x"}'), "log of Akto's service"),
    "text": (Reply(200, body=b"OK"), "another service"),
    "JSON that is no object": (Reply(200, body=b"[]"), "another service"),
    "a body that never ends": (Reply(200, body=b"x" * 10_000_000), "another service"),
    "a JSON body that never ends": (Reply(200, body=b'{"a":"' + b"x" * 10_000_000), "another service"),
}

each_answer = pytest.mark.parametrize("name", NOT_YES)


@pytest.mark.parametrize("body", [b"{}", b'{"success":true}', b' {"success": "true", "x": [1]}\n', '{"é":1}'.encode()])
def test_yes(body: bytes) -> None:
    """Line 4: a JSON object without a failure means success."""
    assert answers.cause(body) is Cause.NONE


@given(body=st.binary() | st.text().map(str.encode) | st.from_type(type(None)).map(lambda _: b"[" * 100_000))
def test_any_body_is_judged(body: bytes) -> None:
    """Line 4: any answer is judged without an error, and only a JSON object can mean success."""
    if answers.cause(body) is Cause.NONE:
        assert isinstance(json.loads(body), dict)


@each_answer
@pytest.mark.parametrize("durability", Durability)
def test_what_is_not_a_yes_ships_nothing(
    tmp_path: Path, durability: Durability, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Line 4: after any other 2xx all entries are kept, the likely cause is logged once, and they are sent later."""
    reply, word = NOT_YES[name]
    with FaultServer(reply) as akto, shipping(akto.url, policy(tmp_path / "s", durability)) as shipper:
        fill(shipper, 50)
        wait_for(lambda: shipper.stats.snapshot().failures >= 3)
        counts = shipper.stats.snapshot()
        assert (counts.shipped, counts.rejected, counts.pending, counts.missing) == (0, 0, 50, 0)
        logged = [record.getMessage() for record in caplog.records if "cannot deliver" in record.getMessage()]
        assert len(logged) == 1
        assert word in logged[0]
        akto.seen.taken.clear()
        akto.script = OK
        wait_for(lambda: shipper.stats.snapshot().shipped == 50)
        assert len(akto.taken) == 50


@each_answer
def test_a_replay_ends_with_1(name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 4: a replay to a server that is not Akto gives up at once with the reason, and no flow counts as done."""
    monkeypatch.setenv("AKTO_API_TOKEN", "")
    reply, word = NOT_YES[name]
    with FaultServer(reply) as akto:
        assert program.main(["replay", str(FLOWS), "--to", akto.url, "--quiet"]) == 1
        shown = capfd.readouterr()
        assert "given up" in shown.err
        assert word in shown.err
        assert "= 0 shipped" in shown.out
        assert akto.seen.requests <= 3


@each_answer
def test_the_check_judges_alike(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Line 4: `akto-mirror check` and the shipper agree on which answers mean success."""
    reply, _ = NOT_YES[name]
    for health, script in ((OK, reply), (reply, OK)):
        with FaultServer(script, health=health) as akto:
            sink = HttpSink(akto.url + "/api/ingestData")
            assert (sink.send([b'{"path":"/"}'], 10).kind is Kind.SHIPPED) == (script is OK)
            assert sink.is_healthy(10) == (health is OK)
            sink.close()
            assert program.main(["check", akto.url, "--send"]) == 1
            lines = capsys.readouterr().out.splitlines()
            assert any(line.startswith("✓ /healthCheck") for line in lines) == (health is OK)
            assert any(line.startswith("✓ test entry") for line in lines) == (script is OK)


@pytest.mark.parametrize(
    ("path", "health"),
    [
        ("", "/healthCheck"),
        ("/", "/healthCheck"),
        ("/api/ingestData", "/healthCheck"),
        ("/gw/api/ingestData", "/gw/healthCheck"),
        ("/gw/api/ingestData?key=1", "/gw/healthCheck"),
        ("/custom", "/healthCheck"),
        ("/gw/custom/", "/healthCheck"),
    ],
)
def test_the_health_check_has_one_address(path: str, health: str) -> None:
    """Line 4: the shipper and `akto-mirror check` request the same health check for any path of akto_url."""
    with FaultServer() as akto:
        posted = destination.parse(akto.url + path).url
        sink = HttpSink(posted)
        assert sink.is_healthy(10)
        sink.close()
        assert list(checks.run(checks.Target(akto.url + path), send=False))
        assert akto.seen.asked[:2] == [health, health]
