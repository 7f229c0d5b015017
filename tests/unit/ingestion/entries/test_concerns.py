"""Concerns describe what Akto's runtime would drop, misread or not parse of an entry."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.ingestion.entries.concerns import DROPPED, MISREAD, NO_HOST, SPECIAL_HOST, UNREAD, Concern, concerns
from akto_mirror.ingestion.inventory import Inventory
from akto_mirror.ingestion.views import detail, summary
from tests.support.data import DATA
from tests.support.entries import entry, folded


@pytest.mark.parametrize(
    ("made", "kinds"),
    [
        (entry("/orders", requestPayload={"a": 1}, responsePayload={"b": [1]}), []),
        (entry("/Healthy"), [DROPPED]),
        (entry("/a?x=/healthcheck"), [DROPPED]),
        (entry("/logo.PNG?v=1"), [DROPPED]),
        (entry("/a?file=x.css"), [DROPPED]),
        (entry("/a.json"), []),
        (entry(requestPayload="<!DOCTYPE r><r/>", sent="application/xml"), [UNREAD]),
        (entry(responsePayload="<!DOCTYPE html><p>", answered="text/html"), []),
        (entry(requestPayload="a=%zz&b=1", sent="application/x-www-form-urlencoded"), [UNREAD]),
        (entry(requestPayload="a=%41&b=1", sent="application/x-www-form-urlencoded"), []),
        (entry("/a?x=1?y=2"), [UNREAD]),
        (entry("/a?x=%zz"), [UNREAD]),
        (entry("/a?x=%41&y="), []),
        (entry("/a.css/b"), []),
        (entry(statusCode="301"), [DROPPED]),
        (entry(statusCode="302"), []),
        (entry(headers={"X-Akto-Ignore": "0"}), [DROPPED]),
        (entry(requestPayload='{"a":[1,2'), [DROPPED]),
        (entry(requestPayload='{"a":[1,2', sent=""), [DROPPED]),
        (entry(requestPayload='{"a":[1,2', sent="application/json; charset=utf-8"), [UNREAD]),
        (entry(responsePayload='[{"a":1'), [UNREAD]),
        (entry(responsePayload='data: {"a":1}\n\n', answered="text/event-stream"), [UNREAD]),
        (entry(responsePayload=")]}',\n{}"), [UNREAD]),
        (entry(responsePayload='cb({"a":1});'), []),
        (entry(responsePayload='cb([{"a":1}])'), [UNREAD]),
        (entry(responsePayload='/**/ cb({"a":[1'), [UNREAD]),
        (entry(responsePayload='f(g) [{"a":1'), []),
        (entry(responsePayload='{"n":9223372036854775807}'), []),
        (entry(responsePayload='{"n":9223372036854775808}'), [UNREAD]),
        (entry(responsePayload='{"n":"x 9223372036854775808"}'), []),
        (entry(responsePayload='{"n":9223372036854775808.5}'), []),
        (entry(responsePayload="[" * 2_001 + "]" * 2_001), [DROPPED]),
        (entry(responsePayload='"' + "[" * 2_001 + '"'), []),
        (entry(responsePayload="<a><b>", answered="text/xml"), []),
        (entry(responsePayload="<a><b>1</", answered="text/xml"), [UNREAD]),
        (entry(responsePayload='["' + "[" * 2_001 + '"]'), []),
        (entry(responsePayload={"a": 1}, answered="Application/JSON"), [UNREAD]),
        (entry(akto_account_id="acme"), [DROPPED]),
        (entry(akto_account_id="2147483648"), [DROPPED]),
        (entry(time="1.5"), [MISREAD]),
        (entry(type="WebSocket", statusCode="403"), [MISREAD]),
        (entry(type="WebSocket", statusCode="101"), []),
        (entry(host="10.0.0.7:80"), [NO_HOST]),
        (entry(host=""), [NO_HOST]),
        (entry(host="a.example, b.example"), [SPECIAL_HOST]),
        (entry(host="[fe80::a]"), [SPECIAL_HOST]),
        (entry(host="a.example:8443"), []),
    ],
)
def test_kinds(made: dict[str, Any], kinds: list[str]) -> None:
    """Each rule is tested with an entry that breaks it, and a similar one that does not."""
    assert [found.kind for found in concerns(made)] == kinds


BASE, *VERDICTS = map(json.loads, (DATA / "akto_verdicts.ndjson").read_text().splitlines())


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict["name"])
def test_aktos_own_verdicts(verdict: dict[str, Any]) -> None:
    """The concerns match what Akto's runtime did with these entries, recorded by running its code."""
    made = {**BASE["base"], **verdict["changed"]}
    found = concerns({name: value for name, value in made.items() if name not in verdict["absent"]})
    kinds = {each.kind for each in found}
    assert (DROPPED in kinds) == (verdict["verdict"] != "taken")
    if verdict["verdict"] == "taken":
        unread = {
            side for side in ("request", "response") for each in found if each.sentence.startswith(f"Its {side} ")
        }
        assert unread == {side for side in ("request", "response") if not verdict[side]}


def test_an_endpoint_shows_its_concerns_and_what_was_said_last() -> None:
    """The list shows kinds of concerns; the panel shows their counts and the latest sentence."""
    made = folded(entry("/o/1", statusCode="301"), entry("/o/2", statusCode="304"), entry("/o/3"))
    (endpoint,) = made.endpoints()
    assert summary(endpoint)["concerns"] == [DROPPED]
    assert detail(endpoint, [])["raised"] == [[DROPPED, "Its status is 304: of the 3xx, Akto accepts only 302.", 2]]


def test_another_function_can_be_plugged_in() -> None:
    """Another function can replace the rules or add to them, such as one for sensitive values."""

    def sensitive(made: Any) -> list[Concern]:
        return [Concern("email address", "It holds an e-mail address.")] if "@" in made["path"] else []

    inventory = Inventory(lambda made: [*concerns(made), *sensitive(made)])
    inventory.add(entry("/health/ann@shop.example"))
    (endpoint,) = inventory.search('concern:"email address"').endpoints
    assert list(endpoint.concerns) == [DROPPED, "email address"]


def test_a_function_cannot_fill_the_inventory() -> None:
    """The number of kinds and the length of sentences are bounded."""
    inventory = Inventory(lambda _: [Concern(f"kind {number}", "x" * 10_000) for number in range(1_000)])
    inventory.add(entry())
    (endpoint,) = inventory.endpoints()
    assert len(endpoint.concerns) < 100
    assert all(len(raised.sentence) <= 300 for raised in endpoint.concerns.values())


@pytest.mark.parametrize("text", ['["' + '\\"' * 200_000, "[" * 400_000, "{" + "1" * 400_000, '["' * 200_000])
def test_hostile_payloads_cost_little(text: str) -> None:
    """Hostile payloads take linear time; quadratic time would be minutes."""
    started = time.process_time()
    concerns(entry(requestPayload=text, responsePayload=text, sent="application/json; a=b"))
    assert time.process_time() - started < 2


ANY = (
    st.none()
    | st.integers()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["{", "[1"])
)
NAMES = ("path", "time", "statusCode", "type", "requestHeaders", "responseHeaders", "requestPayload", "akto_account_id")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), ANY))
def test_no_entry_makes_it_raise(made: dict[str, Any]) -> None:
    """Any entry is judged without an error."""
    assert all(found.kind and found.sentence.endswith(".") for found in concerns(made))
