"""Sensitive values in entries: kinds and places, by the rules of redaction."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from akto_mirror.capture import redaction
from akto_mirror.capture.redaction import Redaction
from akto_mirror.capture.redaction.rules.names import Names
from akto_mirror.capture.redaction.rules.values import rules
from akto_mirror.ingestion import inventory
from akto_mirror.ingestion.entries.sensitive import Part, find
from akto_mirror.ingestion.inventory import Inventory
from akto_mirror.ingestion.openapi.document import build
from akto_mirror.ingestion.views import detail, summary
from tests.support.entries import JWT, entry, folded

CARD = "4111111111111111"
MAIL = "ann@shop.example"
KEY = "ghp_" + "a1B2" * 9
FORM = "application/x-www-form-urlencoded"
MULTIPART = f'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{CARD}\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (entry(responsePayload={"items": [{"mail": MAIL}]}), [("email", "Response 200", "items[].mail")]),
        (entry(responsePayload='{"mail":"ann\\u0040shop.example"}'), [("email", "Response 200", "mail")]),
        (entry(requestPayload={"pay": {"no": CARD}}), [("card", "Request", "pay.no")]),
        (entry(requestPayload={"pay": {"no": int(CARD)}}), [("card", "Request", "pay.no")]),
        (entry(requestPayload=f"a=1&no={CARD}", sent=FORM), [("card", "Request", "no")]),
        (entry(requestPayload=MULTIPART, sent="multipart/form-data; boundary=x"), [("card", "Request", "")]),
        (entry(responsePayload=f"key: {KEY}", answered="text/plain"), [("github", "Response 200", "")]),
        (entry(responsePayload=f"<a><b>{KEY}</b></a>", answered="text/xml"), [("github", "Response 200", "a/b")]),
        (entry(responsePayload=f'data: {{"k":"{KEY}"}}\n\n', answered="text/event-stream"), [
            ("github", "Response 200", "k")
        ]),
        (entry(responsePayload=[JWT], statusCode="404"), [("jwt", "Response 404", "[]")]),
        (entry(f"/u/{MAIL}/x"), [("email", "Path", "{id}")]),
        (entry("/u?q=ann%40shop.example"), [("email", "Query", "q")]),
        (entry(headers={"x-user": MAIL}), [("email", "Request headers", "x-user")]),
        (entry(responseHeaders=json.dumps({"x-new": JWT})), [("jwt", "Response headers", "x-new")]),
        (entry(requestPayload={"user": "ann", "password": "x"}), [("password", "Request", "password")]),
        (entry(requestPayload={"dbPassword": "x", "pin": "1"}), [
            ("password", "Request", "dbPassword"), ("pin", "Request", "pin")
        ]),
        (entry(headers={"authorization": f"Bearer {JWT}", "cookie": f"sid={JWT}"}), []),
        (entry(requestPayload={"password": "", "token": True, "password_min_length": "8"}), []),
        (entry(requestPayload={"no": "4111111111111112", "at": "a@b", "n": 411}), []),
    ],
)  # fmt: skip
def test_kinds_and_places(made: dict[str, Any], found: list[tuple[str, str, str]]) -> None:
    """The kind and the field are found in any format; values that authenticate are listed as authentication."""
    (endpoint,) = folded(made).endpoints()
    assert list(endpoint.sensitive) == found


def test_what_redaction_has_hidden_is_not_found() -> None:
    """Redacted values are not found, neither by their names nor as the dummy JWT."""
    given = Redaction(Names(), Names(("common",)), rules(("common", "email")))
    text = json.dumps({"password": "x", "a": JWT, "b": MAIL, "c": {"token": JWT, "cvc": 7}})
    hidden = redaction.payload(text, "application/json", given)
    assert hidden != text
    (endpoint,) = folded(entry(requestPayload=hidden)).endpoints()
    assert endpoint.sensitive == {}


def test_a_kind_counts_once_for_an_entry_and_field() -> None:
    """The list shows the kinds; the panel shows the number of entries per kind and field."""
    made = folded(*(entry(f"/o/{n}", responsePayload=[{"m": MAIL}, {"m": MAIL, "n": CARD}]) for n in range(3)))
    (endpoint,) = made.endpoints()
    assert summary(endpoint)["sensitive"] == ["email", "card"]
    assert detail(endpoint, [])["found"] == [["email", "Response 200", "[].m", 3], ["card", "Response 200", "[].n", 3]]


def test_it_is_filtered_by() -> None:
    """Endpoints can be filtered by any kind, by certain kinds, or by none; a kind is found as a word too."""
    made = folded(entry("/m", responsePayload={"m": MAIL}), entry("/c", responsePayload={"n": CARD}), entry("/x"))

    def paths(words: str) -> list[str]:
        return [endpoint.path for endpoint in made.search(words).endpoints]

    assert paths("sensitive:any") == ["/c", "/m"]
    assert paths("sensitive:card") == paths("card") == ["/c"]
    assert paths("sensitive:card,email") == ["/c", "/m"]
    assert paths("-sensitive:any") == ["/x"]
    assert paths("sensitive:car") == []


def test_no_sensitive_value_is_in_an_example() -> None:
    """Examples have no sensitive values: a document is shared more widely than the traffic."""
    made = folded(
        entry(f"/a/{MAIL}/b?q={KEY}", "POST", headers={"x-a": MAIL}, requestPayload={"a": KEY, "b": int(CARD), "c": 1})
    )
    text = json.dumps(build(made.endpoints(), made.samples))
    assert not [secret for secret in (KEY, CARD, MAIL) if secret in text]
    assert '"c": 1' in text


def test_bounds_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many invented fields and values take little time, and stay within the bounds."""
    monkeypatch.setattr(inventory, "MAX_SENSITIVE", 7)
    made = Inventory()
    started = time.process_time()
    for n in range(20):
        made.add(entry(requestPayload={f"f{n}x{m}": MAIL for m in range(90)}, responsePayload=[CARD] * 9_000))
        made.add(entry("/b", responsePayload=f"{MAIL} " * 40_000, answered="text/plain"))
    assert time.process_time() - started < 10
    a, b = made.endpoints()
    assert len(a.sensitive) == 7
    assert list(b.sensitive) == [("email", "Response 200", "")]


def test_a_text_behind_the_bound_is_not_looked_at() -> None:
    """Text after the bound is not searched, and a cut text does not shift the names of fields."""
    parts = [Part("A", [("a", "x" * 200_000), ("b", f"ü {MAIL}")]), Part("B", [("c", KEY)])]
    assert list(find(parts)) == [("email", "A", "b"), ("github", "B", "c")]
    assert list(find([Part("A", [(str(n), "x" * 65_536) for n in range(5)]), Part("B", [("c", KEY)])])) == []
