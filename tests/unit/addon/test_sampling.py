"""Sampling in the addon: what is left out, how it is counted, and what survives changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mitmproxy import http

from akto_mirror.addon.session import _lasting
from akto_mirror.akto_api import Entry
from akto_mirror.config.declarations import OPTIONS
from akto_mirror.config.options import read
from akto_mirror.ingestion.inventory import Inventory
from akto_mirror.outcomes import Dropped, Reason
from akto_mirror.sampling.noise import HEALTH_NAMES, PROBES, STATIC_TYPES
from tests.support.flows import flow, request, response
from tests.support.harness import Harness, mirroring
from tests.support.proxy import ROOT

DOCS = ROOT / "docs" / "sampling.md"


def exchange(path: str = "/orders", answer: dict[str, Any] | None = None, **kinds: Any) -> http.HTTPFlow:
    """Return an exchange with a JSON answer."""
    body = json.dumps({"id": 1} if answer is None else answer).encode()
    return flow(request(path=path.encode(), **kinds), response(content=body))


def verdicts(running: Harness, *flows: http.HTTPFlow) -> list[str]:
    """Let exchanges pass, and return the verdict of each so far."""
    return [running.pass_on(each) for each in flows]


def test_what_shows_nothing_new_is_left_out() -> None:
    """The first exchanges of a window, and new ones, are shipped; the next entry reports the number of skipped ones."""
    with mirroring(sample="novel", sample_per_window=1) as running:
        seen = verdicts(running, *(exchange() for _ in range(5)), exchange(answer={"name": "x"}))
        stats = running.addon.session.stats.snapshot()
        entries = running.entries()
    assert seen == ["captured", "captured", "skipped (sampled)", "skipped (sampled)", "skipped (sampled)", "captured"]
    assert stats.skipped == {Reason.SAMPLED: 3}
    assert [entry.get("akto_mirror_left_out") for entry in entries] == [None, None, "3"]


def test_the_inventory_adds_up_what_was_left_out() -> None:
    """Entries and the left-out exchanges that they report add up to all exchanges."""
    with mirroring(sample="novel", sample_per_window=1) as running:
        verdicts(running, *(exchange() for _ in range(50)), exchange(answer={"name": "x"}))
        inventory = Inventory()
        for entry in running.entries():
            inventory.add(entry)
    (endpoint,) = inventory.endpoints()
    assert (endpoint.count, endpoint.left_out) == (3, 48)


def test_the_worker_reports_nothing() -> None:
    """`akto_fidelity=worker` ships exactly the Worker's entry."""
    with mirroring(sample="novel", sample_per_window=1, fidelity="worker") as running:
        verdicts(running, *(exchange() for _ in range(9)), exchange(answer={"name": "x"}))
        assert all(tuple(entry) == Entry.__struct_fields__[:-2] for entry in running.entries())


def test_what_the_queue_has_no_room_for_is_still_new() -> None:
    """A dropped exchange does not count as seen."""
    with mirroring(sample="novel", queue_bytes=1) as running:
        assert verdicts(running, exchange()) == [f"dropped ({Dropped.QUEUE_FULL})"]
        running.configure(queue_bytes=10**6, sample_per_window=0)
        assert verdicts(running, exchange(), exchange(), exchange()) == ["captured", "captured", "skipped (sampled)"]


def test_a_dry_run_of_the_addon_samples_too() -> None:
    """Without `akto_url` the verdicts are the same as in a real run."""
    with mirroring(url="", sample="novel", sample_per_window=0) as running:
        seen = verdicts(running, *(exchange() for _ in range(3)))
    assert seen == ["captured (dry run)", "captured (dry run)", "skipped (sampled)"]


def test_what_was_seen_outlasts_a_reload_and_other_options() -> None:
    """Another instance continues with the state of the previous one."""
    with mirroring(sample="novel", sample_per_window=0) as running:
        verdicts(running, exchange(), exchange())
        running.configure(sample_window_s=5, account_id="7")
        assert verdicts(running, exchange()) == ["skipped (sampled)"]
        before = running.addon.session
        lasting = _lasting[running.context.master]
        assert lasting.capture is before.capture
        before.apply(before.configured())
        assert verdicts(running, exchange()) == ["skipped (sampled)"]


def test_caps_leave_out_and_count() -> None:
    """The bucket holds two seconds of the cap, half of it for new exchanges."""
    with mirroring(max_entries_s=10) as running:
        verdicts(running, *(exchange() for _ in range(50)))
        stats = running.addon.session.stats.snapshot()
    assert 10 <= stats.captured <= 20
    assert stats.skipped == {Reason.CAPPED: 50 - stats.captured}


def test_noise_is_left_out_if_it_is_asked_for() -> None:
    """By default no noise is left out."""
    preflight = ((b"Host", b"a"), (b"Origin", b"https://b"), (b"Access-Control-Request-Method", b"PUT"))
    noise = [
        exchange("/healthz"),
        exchange("/app.js"),
        exchange(method=b"OPTIONS", fields=preflight),
    ]
    with mirroring() as running:
        assert verdicts(running, *(each.copy() for each in noise)) == ["captured"] * 3
        running.configure(skip=["health", "static", "options"])
        assert verdicts(running, *noise) == [f"skipped (noise {each})" for each in ("health", "static", "options")]


def test_pause_and_resume() -> None:
    """Commands pause and resume; the flows show it, and it is counted."""
    with mirroring() as running:
        running.context.master.commands.execute("akto.pause")
        paused = verdicts(running, exchange(), exchange())
        running.context.master.commands.execute("akto.resume")
        assert [*paused, *verdicts(running, exchange())] == ["skipped (paused)"] * 2 + ["captured"]
        assert running.addon.session.stats.snapshot().skipped == {Reason.PAUSED: 2}


def test_stats_name_the_endpoints() -> None:
    """The stats name the endpoints with the most exchanges left out."""
    with mirroring(sample="novel", sample_per_window=0) as running:
        verdicts(running, *(exchange("/orders/17") for _ in range(5)), *(exchange("/users") for _ in range(3)))
        said = running.context.master.commands.execute("akto.stats")
    sampling = "knows 2 endpoints, left out 4, most of GET api.example.com/orders/{id} 2xx 3, GET api.example.com/users"
    assert f"; sampling {sampling} 2xx 1" in said


@pytest.mark.parametrize("given", [{"skip": ["healht"]}, {"sample": "some"}, {"max_entries_s": -1}])
def test_values_that_cannot_be_used(given: dict[str, Any]) -> None:
    """An invalid value gives one clear line."""
    with mirroring(**given) as running:
        assert running.addon.session.settings is None


def test_processes_share_the_caps() -> None:
    """Each process gets its share of the caps."""
    values = {option.name: option.default for option in OPTIONS} | {
        "akto_max_entries_s": 100,
        "akto_max_bytes_s": 10**6,
    }
    policy = read(values, {}, 4).capture.sampling
    assert (policy.entries_s, policy.bytes_s) == (25, 250_000)


def test_event_streams_are_read_as_they_are_sent() -> None:
    """An event stream is sampled as the JSON that is sent; its facts are new once."""

    def stream(text: bytes) -> http.HTTPFlow:
        return flow(request(), response(fields=[(b"content-type", b"text/event-stream; x=json")], content=text))

    texts = [b'data: {"a":1}\n\n', b'data: {"a":1}\n\n', b'data: {"a":2}\n\n', b'data: {"b":1}\n\n']
    with mirroring(sample="novel", sample_per_window=0) as running:
        seen = verdicts(running, *map(stream, texts))
    assert seen == ["captured", "captured", "skipped (sampled)", "captured"]


def test_the_docs_name_all_noise() -> None:
    """The docs list all noise exactly."""
    text = DOCS.read_text()
    assert [each for each in (*HEALTH_NAMES, *PROBES, *STATIC_TYPES) if f"`{each}`" not in text] == []
