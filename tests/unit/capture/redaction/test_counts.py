"""Redactions are counted by name and kind; an error hides the whole payload, but not the entry."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction import Hiding, Redaction, json_walk, pairs

ALL = Redaction.of(["common"], ["common"], ["common"])


def test_counts_by_name_and_kind() -> None:
    """Redactions are counted by rule, not by the name that a client chose."""
    hides = Hiding(ALL)
    hides.payload('{"userPassword":"a","note":"4111111111111111"}', "application/json")
    hides.headers({"authorization": "Bearer x"})
    assert hides.counts == {("name", "password"): 1, ("value", "card"): 1, ("name", "authorization"): 1}


def test_what_is_unreadable() -> None:
    """An unreadable payload is replaced, unless it is to be kept."""
    binary = "\x00\x01\ufffd\ufffd"
    hides = Hiding(ALL)
    assert hides.payload(binary, "application/json") == "[redacted]"
    assert hides.counts == {("payload", "unreadable"): 1}
    kept = Redaction.of([], ["common"], keep_unreadable=True)
    assert Hiding(kept).payload(binary, "application/json") == binary


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/x-www-form-urlencoded", "a=%70&" * 5_000),
        ("text/xml", '<a b="&#97;">&#97;</a>' * 3_000),
        ("text/xml", "<a " + 'b="&#97;" ' * 1_000 + ">"),
        ("text/event-stream", 'data: {"\\u0061":1}\n\n' * 1_000),
        ("text/event-stream", "data: &#97;\n" + "id: 1\n" * 600),
        ("multipart/form-data; boundary=x", "--x\r\n\r\na\r\n" * 600),
        ("text/plain", "%70 " * 5_000),
    ],
)
def test_what_is_hidden_unread_is_counted(kind: str, text: str) -> None:
    """The rest of a payload that takes too much work is counted, in every format."""
    hides = Hiding(ALL)
    new = hides.payload(text, kind)
    assert "[redacted]" in new
    assert hides.counts["name", "text"]


def test_an_error_hides_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any error nothing is shipped unread."""

    def broken(*_: object) -> bytes:
        raise RecursionError

    monkeypatch.setattr(json_walk, "walk", broken)
    monkeypatch.setattr(pairs, "walk", broken)
    hides = Hiding(ALL)
    assert hides.payload('{"password":"hunter2"}', "application/json") == "[redacted]"
    assert hides.path("/a?password=hunter2") == "/[redacted]"
    assert hides.headers({"referer": "a=1&password=hunter2"}) == {"referer": "[redacted]"}
    assert hides.counts == {("payload", "error"): 3}
