"""Delivery contract, line 12: the last line, which scripts read, has the documented form, and its counts add up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.accounts import Stats
from akto_mirror.outcomes import PLACES, Dropped, Outcome, Reason
from tests.support.proxy import ROOT

# The calls that count something for the first time: an entry, or a flow that never becomes one.
WAYS_IN = {"capture": ["shipper"], "lose": ["mirroring", "shipper"], "recover": ["store"], "skip": ["mirroring"]}

PAGE = Path(ROOT, "docs", "operations.md").read_text().partition("## The last line\n")[2].partition("\n## ")[0]

STATS: st.SearchStrategy[Any] = st.builds(
    dict,
    places=st.dictionaries(st.sampled_from(PLACES), st.integers(1, 10**9)),
    dropped=st.dictionaries(st.sampled_from(Dropped), st.integers(1, 10**9)),
    skipped=st.dictionaries(st.sampled_from(Reason), st.integers(1, 10**9)),
    recovered=st.integers(0, 10**6),
    shortened=st.integers(0, 3),
)


def line(places: dict[Outcome, int], dropped: dict[Dropped, int], skipped: dict[Reason, int], **more: int) -> str:
    """Return the last line for these counts."""
    stats = Stats()
    stats._places |= places
    stats._dropped.update(dropped)
    stats._skipped.update(skipped)
    ends = sum(places.values()) + sum(dropped.values())
    stats._recovered, stats._shortened = min(more["recovered"], ends), more["shortened"]
    stats._captured = ends - stats._recovered
    assert stats.snapshot().missing == 0
    return f"akto: {stats.snapshot()}"


def documented() -> re.Pattern[str]:
    """Return the regular expression that the page gives to scripts."""
    found = re.search(r'```python\nr"(.*)"\n```', PAGE)
    assert found
    return re.compile(found[1])


@given(STATS)
def test_the_documented_expression_reads_every_line(counts: dict[str, object]) -> None:
    """Line 12: any counts give a line that the expression reads, whose columns add up and are all named."""
    shown = line(**counts)  # type: ignore[arg-type]
    found = documented().match(shown)
    assert found, shown
    captured, recovered, columns, dropped, reasons, skipped = found.groups()
    numbers = {name: int(count) for name, count in re.findall(r"(\w[a-z ]*) (\d+)", columns)}
    assert int(captured) + int(recovered or 0) == sum(numbers.values()) + int(dropped)
    assert {"shipped", "spooled", "rejected"} <= set(numbers) <= {str(place) for place in PLACES}
    assert sum(map(int, re.findall(r" (\d+)(?:, |$)", reasons or ""))) == int(dropped)
    assert int(skipped) == sum(counts["skipped"].values())  # type: ignore[attr-defined]
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, "akto: captured 0 = shipped 0 + spooled 0 + rejected 0 + dropped 0; skipped 0"),
        (
            {"places": {Outcome.SHIPPED: 5}},
            "akto: captured 5 = shipped 5 + spooled 0 + rejected 0 + dropped 0; skipped 0",
        ),
        (
            {
                "places": dict.fromkeys(PLACES, 2),
                "dropped": {Dropped.QUEUE_FULL: 1, Dropped.DEAD_FULL: 2},
                "skipped": {Reason.STATUS: 3},
                "recovered": 4,
                "shortened": 1,
            },
            "akto: captured 11 + recovered 4 = shipped 2 + queued 2 + in flight 2 + spooled 2 + rejected 2"
            " + handed over 2 + dropped 3 (queue full 1, refused, and no room among the dead letters 2)"
            "; skipped 3 (status 3); shortened 1",
        ),
    ],
)
def test_the_line_word_by_word(counts: dict[str, object], expected: str) -> None:
    """Line 12: scripts rely on words, signs and their order; a change of this test breaks scripts."""
    given: dict[str, object] = {"places": {}, "dropped": {}, "skipped": {}, "recovered": 0, "shortened": 0}
    assert line(**(given | counts)) == expected  # type: ignore[arg-type]


def test_the_example_of_the_page_is_such_a_line() -> None:
    """Line 12: the examples on the page and in the README match the documented expression and add up."""
    for page in (PAGE, Path(ROOT, "README.md").read_text()):
        (example,) = re.findall(r"^    (akto: captured .*)$", page, re.MULTILINE)
        found = documented().match(example)
        assert found
        assert int(found[1]) + int(found[2] or 0) == sum(map(int, re.findall(r"\d+", found[3]))) + int(found[4])


def test_there_is_one_door() -> None:
    """Line 1: no other module writes a count, and the functions beside `move` have only the listed callers."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in Path(ROOT, "akto_mirror").rglob("*.py")}
    private = re.compile(r"stats\._(captured|recovered|places|dropped|skipped)\b")
    assert [name for name, text in texts.items() if private.search(text)] == []
    ways = {way: sorted(name for name, text in texts.items() if f"stats.{way}(" in text) for way in WAYS_IN}
    assert ways == WAYS_IN
