"""Data for the page: windows of the list, and a single endpoint."""

from __future__ import annotations

import json

import pytest

from akto_mirror.ingestion.entries.endpoints import Endpoint
from akto_mirror.ingestion.views import detail, listing
from tests.support.entries import entry, folded

INVENTORY = folded(
    entry("/a", host="one.example"), entry("/b", host="one.example"), entry("/c", host="two.example"),
    entry("/d?page=2", host="two.example", headers={"authorization": "Bearer x"}, responsePayload={"id": 7}),
)  # fmt: skip

# All lines: each host is above its endpoints.
LINES = ["one.example", "/a", "/b", "two.example", "/c", "/d"]


@pytest.mark.parametrize("limit", range(1, 7))
@pytest.mark.parametrize("start", range(7))
def test_a_window_is_part_of_the_whole(start: int, limit: int) -> None:
    """In any window, lines keep their numbers."""
    found = listing(INVENTORY, start=start, limit=limit)
    lines = {line["line"]: line.get("group") or line["path"] for line in [*found["groups"], *found["page"]]}
    assert lines == dict(list(enumerate(LINES))[start : start + limit])
    assert (found["lines"], found["found"], found["entries"]) == (6, 4, 4)


def test_one_host_has_no_line_of_its_own() -> None:
    """A list of one host has no line for the host."""
    found = listing(INVENTORY, host="two.example")
    assert found["groups"] == []
    assert [line["path"] for line in found["page"]] == ["/c", "/d"]


def test_a_filter_is_explained() -> None:
    """Each term shows its mistake."""
    found = listing(INVENTORY, words="auth:bearer status:nope")
    assert [bool(term["mistake"]) for term in found["terms"]] == [False, True]


def test_an_endpoint_has_its_places() -> None:
    """Parameters and fields are grouped by place, samples have a curl command, and all of it is JSON."""
    endpoints = list(INVENTORY.endpoints("two.example"))
    chosen: Endpoint = endpoints[-1]
    shown = json.loads(json.dumps(detail(chosen, INVENTORY.samples(chosen))))
    assert [place["title"] for place in shown["places"] if place["title"] != "Request headers"] == [
        "Query",
        "Response 200",
    ]
    assert shown["ways"] == [[["bearer in header authorization"], 1]]
    (sample,) = shown["samples"]
    assert sample["curl"].startswith("curl ")
