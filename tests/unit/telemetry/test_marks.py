"""Marks and comments follow the outcome, and never replace those of users."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.addons.view import View
from mitmproxy.flow import Flow
from mitmproxy.test import tflow
from mitmproxy.utils.emoji import emoji

from akto_mirror.outcomes import Mark, Outcome
from akto_mirror.telemetry import marks
from akto_mirror.telemetry.marks import SIGNS, VERDICT, Marks
from tests.support.flows import flow, response
from tests.support.harness import mirroring

DONE = SIGNS[Outcome.SHIPPED]


class Screen:
    """An event loop and an interface, run step by step."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.turns: list[list[Flow]] = []
        self.marks = Marks(lambda _, act: self.due.append(act), self._refresh)

    def _refresh(self, flows: Sequence[Flow]) -> None:
        self.turns.append(list(flows))

    def turn(self) -> None:
        """Run everything that is due."""
        due, self.due = self.due, []
        for act in due:
            act()

    def passing(self, entry: bytes, made: http.HTTPFlow | None = None) -> http.HTTPFlow:
        """Show and follow a flow that becomes an entry, and return it."""
        made = made or tflow.tflow(resp=True)
        self.marks.show(made, Outcome.CAPTURED)
        self.marks.follow(made, entry)
        return made


def shown(made: Flow) -> tuple[str, str]:
    """Return the flow's mark and comment."""
    return made.marked, made.comment


def test_mitmproxy_knows_the_signs() -> None:
    """All marks are known to mitmproxy, which would draw others as dots."""
    assert set(SIGNS) == set(Outcome)
    assert set(SIGNS.values()) <= set(emoji)


def test_the_outcome_reaches_the_flow() -> None:
    """Mark, comment and verdict change with each outcome, and the interface is notified."""
    screen = Screen()
    made = screen.passing(b"one")
    assert shown(made) == (SIGNS[Outcome.CAPTURED], "captured")
    screen.marks.update([b"one"], Outcome.SPOOLED, "connection refused")
    screen.turn()
    assert shown(made) == (SIGNS[Outcome.SPOOLED], "spooled: connection refused")
    screen.marks.update([b"one"], Outcome.SHIPPED)
    screen.turn()
    assert (shown(made), made.metadata[VERDICT]) == ((DONE, "shipped"), "shipped")
    assert screen.turns == [[made], [made]]


def test_equal_entries_end_one_by_one() -> None:
    """Each of two flows with equal entries has its own outcome."""
    screen = Screen()
    pair = [screen.passing(b"same"), screen.passing(b"same")]
    screen.marks.update([b"same"], Outcome.REJECTED, "422")
    screen.marks.update([b"same"], Outcome.SHIPPED)
    screen.turn()
    assert sorted(made.comment for made in pair) == ["rejected: 422", "shipped"]


def test_a_repeated_flow_shows_its_last_entry() -> None:
    """For a flow that is sent again, outcomes of its first entry are ignored."""
    screen = Screen()
    made = screen.passing(b"first")
    screen.passing(b"second", made)
    screen.marks.update([b"first"], Outcome.REJECTED, "422")
    screen.turn()
    assert made.comment == "captured"
    screen.marks.update([b"second"], Outcome.SHIPPED)
    screen.turn()
    assert made.comment == "shipped"


def test_a_crowd_is_shown_in_turns() -> None:
    """Many flows are updated in turns of bounded size, so that the interface stays responsive."""
    screen = Screen()
    crowd = [screen.passing(b"%d" % number) for number in range(2 * marks.TURN + 1)]
    screen.marks.update([b"%d" % number for number in range(len(crowd))], Outcome.SHIPPED)
    while screen.due:
        assert len(screen.due) == 1
        screen.turn()
    assert [len(turn) for turn in screen.turns] == [marks.TURN, marks.TURN, 1]
    assert {made.comment for made in crowd} == {"shipped"}


def test_marks_of_others_are_passed_over() -> None:
    """Entries of an earlier process have no flow here, and are ignored."""
    screen = Screen()
    screen.marks.update([b"from the spool"], Outcome.SHIPPED)
    screen.turn()
    assert screen.turns == []


def test_a_flow_that_is_gone_is_not_held() -> None:
    """A flow that was cleared from the interface is freed, although its entry is waiting."""
    screen = Screen()
    screen.passing(b"one")
    gc.collect()
    screen.marks.update([b"one"], Outcome.SHIPPED)
    screen.turn()
    assert screen.turns == []


def test_only_a_number_of_flows_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If too many flows are followed, as in an outage, the oldest keep their last outcome."""
    monkeypatch.setattr(marks, "MOST", 2)
    screen = Screen()
    made = [screen.passing(b"%d" % number) for number in range(3)]
    screen.marks.update([b"0", b"1", b"2"], Outcome.SHIPPED)
    screen.turn()
    assert [each.comment for each in made] == ["captured", "shipped", "shipped"]


OUTCOMES = st.sampled_from(Outcome)
TEXTS = st.sampled_from(["", ":red_circle:", ":x:", DONE, "mine", "shipped", "akto: mine"])


@given(st.lists(st.tuples(OUTCOMES, st.none() | TEXTS, st.none() | TEXTS), max_size=8), st.sampled_from(list(Mark)))
def test_what_a_person_set_stays(steps: list[tuple[Outcome, str | None, str | None]], mark: Mark) -> None:
    """Marks and comments that a user set or removed are not overwritten."""
    made = tflow.tflow(resp=True)
    last = ("", "")
    for outcome, own_mark, own_comment in steps:
        made.marked = made.marked if own_mark is None else own_mark
        made.comment = made.comment if own_comment is None else own_comment
        before = shown(made)
        marks.put(made, outcome, "why", mark)
        put = wanted(outcome, mark)
        if put is None:
            assert shown(made) == before
            continue
        ours = [there == old for there, old in zip(before, last, strict=True)]
        assert shown(made) == (put[0] if ours[0] else before[0], put[1] if ours[1] else before[1])
        last = (put[0] if ours[0] else last[0], put[1] if ours[1] else last[1])


def wanted(outcome: Outcome, mark: Mark) -> tuple[str, str] | None:
    """Return the mark and comment of a flow that no user has changed."""
    sign = SIGNS[outcome] if mark is Mark.AUTO else ""
    return None if mark is Mark.NEVER else (sign, f"{outcome}: why")


@pytest.mark.parametrize("stored", [None, "", [], ["a"], [1, 2], {"a": 1}, ["a", "b", "c"]])
def test_a_file_can_hold_anything(stored: Any) -> None:
    """Metadata of a flow file are not trusted to have the right type."""
    made = tflow.tflow(resp=True)
    made.metadata[marks.SHOWN] = stored
    marks.put(made, Outcome.SHIPPED, "", Mark.AUTO)
    assert shown(made) == (DONE, "shipped")


class TestInMitmproxy:
    """The addon together with mitmproxy's list of flows."""

    def test_a_skip_says_why(self) -> None:
        """A skipped flow shows the reason, escaped to one line."""
        with mirroring(screen=View()) as mirror:
            made = flow(answer=response(fields=[(b"content-type", b"text/html\n\x1b[2J")]))
            mirror.pass_on(made)
        assert shown(made) == (SIGNS[Outcome.SKIPPED], r"skipped: content type text/html\n\x1b[2J")

    def test_a_drop_says_why(self) -> None:
        """A dropped flow shows the reason."""
        with mirroring(screen=View(), queue_bytes=1) as mirror:
            made = flow()
            mirror.pass_on(made)
        assert shown(made) == (SIGNS[Outcome.DROPPED], "dropped: queue full")

    @pytest.mark.parametrize(("mark", "sign"), [("auto", SIGNS[Outcome.CAPTURED]), ("comment", "")])
    def test_the_option_chooses(self, mark: str, sign: str) -> None:
        """With `akto_mark=comment` no marks are set."""
        with mirroring(screen=View(), mark=mark) as mirror:
            made = flow()
            mirror.pass_on(made)
            assert shown(made) == (sign, "captured")

    def test_never_means_never(self) -> None:
        """With `akto_mark=never` flows are not changed."""
        with mirroring(screen=View(), mark="never") as mirror:
            made = flow()
            mirror.pass_on(made)
        assert shown(made) == ("", "")
        assert marks.SHOWN not in made.metadata

    def test_mitmdump_is_left_alone(self) -> None:
        """In mitmdump, only the verdict is set."""
        with mirroring() as mirror:
            made = flow()
            assert mirror.pass_on(made) == "captured"
        assert shown(made) == ("", "")
        assert marks.SHOWN not in made.metadata
