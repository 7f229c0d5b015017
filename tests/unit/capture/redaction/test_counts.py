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
