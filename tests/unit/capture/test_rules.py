"""The capture rules of Akto's Worker, row by row."""

from __future__ import annotations

import pytest

from akto_mirror.capture import rules
from akto_mirror.capture.rules import TARGETS, any_of, is_websocket
from akto_mirror.outcomes import Reason, Skip

JSON = "application/json"


def judge(status: int, request_type: str, response_type: str) -> Skip | None:
    """Judge an exchange by the Worker's content types."""
    return rules.judge(status, request_type, response_type, any_of(TARGETS))


@pytest.mark.parametrize("status", [200, 201, 204, 206, 299, 300, 301, 302, 304, 399])
def test_statuses_from_200_to_399_are_captured(status: int) -> None:
    """Success and redirection are captured."""
    assert judge(status, JSON, JSON) is None


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 103, 199, 400, 401, 404, 500, 599, 600, 999])
def test_other_statuses_are_skipped(status: int) -> None:
    """Other statuses are skipped, with the status as detail."""
    assert judge(status, JSON, JSON) == Skip(Reason.STATUS, str(status))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("around", ["{}", "application/{}", "application/{}; charset=utf-8", "x{}y", "text/{}-seq"])
def test_it_is_enough_to_contain_a_target(target: str, around: str) -> None:
    """A target anywhere in the content type matches, in any case and on either side."""
    content_type = around.format(target)
    assert judge(200, content_type.upper(), "") is None
    assert judge(200, content_type, "") is None
    assert judge(200, "", content_type.title()) is None
    assert judge(200, "text/plain", content_type) is None
    assert judge(200, content_type, "text/plain") is None


@pytest.mark.parametrize(
    "content_type",
    ["image/svg+xml", "application/problem+json", "application/vnd.api+json", "application/soap+xml", "text/xml"],
)
def test_suffixes_count(content_type: str) -> None:
    """Types with such a suffix match: `image/svg+xml` contains xml, as in the Worker."""
    assert judge(200, "", content_type) is None


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "text/event-stream", "multipart/form-data", "application/octet-stream", "js on", "j\u017fon", "*/*"],
)
def test_other_types_are_skipped(content_type: str) -> None:
    """The detail is the response's content type, or the request's if there is none."""
    assert judge(200, "", content_type) == Skip(Reason.CONTENT_TYPE, content_type)
    assert judge(200, content_type, "") == Skip(Reason.CONTENT_TYPE, content_type)
    assert judge(200, "text/plain", content_type) == Skip(Reason.CONTENT_TYPE, content_type)


def test_the_rules_apply_in_the_workers_order() -> None:
    """The status is judged before the content type."""
    assert judge(404, "", "") == Skip(Reason.STATUS, "404")
    assert judge(200, "", "") == Skip(Reason.NO_CONTENT_TYPE)


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "WEBSOCKET"])
def test_websocket_in_any_case_asks_for_one(upgrade: str) -> None:
    """The Worker compares the lower-cased value."""
    assert is_websocket(upgrade)


@pytest.mark.parametrize("upgrade", ["", "h2c", "websocket, h2c", "websocket, websocket", " websocket", "websockets"])
def test_only_the_bare_word_asks_for_a_websocket(upgrade: str) -> None:
    """A list of protocols does not ask for a WebSocket, as in the Worker."""
    assert not is_websocket(upgrade)


def test_a_skip_has_a_text() -> None:
    """The text is reason and detail, without a trailing space."""
    assert str(Skip(Reason.STATUS, "404")) == "status 404"
    assert str(Skip(Reason.NO_CONTENT_TYPE)) == "no content type"


def test_other_targets_may_be_named() -> None:
    """Other targets are matched literally, whatever characters they contain."""
    events = any_of((*TARGETS, "event-stream", "a.b+c"))
    assert rules.judge(200, "", "Text/Event-Stream; charset=utf-8", events) is None
    assert rules.judge(200, "text/a.b+c", "", events) is None
    assert rules.judge(200, "text/axb+c", "", events) is not None


@pytest.mark.parametrize(
    ("method", "status", "is_one"), [("GET", 101, True), ("POST", 101, False), ("GET", 403, False), ("GET", 200, False)]
)
def test_a_handshake_is_accepted(method: str, status: int, is_one: bool) -> None:
    """Only GET with 101 is an accepted handshake; a refused one is an ordinary exchange."""
    assert rules.is_handshake(method, status) == is_one
