"""Outcomes of flows and entries, in words."""

from __future__ import annotations

from akto_mirror import outcomes
from akto_mirror.outcomes import ALWAYS_SHOWN, PENDING, PLACES, UNDER_WAY, Format, Outcome, Reason, Repair, Secret, Skip


def test_a_skip_says_what_led_to_it() -> None:
    """A skip's text has the detail, if there is one."""
    assert str(Skip(Reason.STATUS, "500")) == "status 500"
    assert str(Skip(Reason.PAUSED)) == "paused"
    assert outcomes.foreseen(Skip(Reason.STATUS, "500")) == "skipped (status 500)"
    assert outcomes.foreseen(object()) == "captured"


def test_nothing_in_a_reason_breaks_a_line() -> None:
    """Line breaks in a reason are escaped, and long reasons are cut."""
    for shown in (outcomes.verdict, outcomes.remark):
        assert "\n" not in shown(Outcome.REJECTED, "422\n\x1b[2J")
        assert len(shown(Outcome.REJECTED, "x" * 1000)) < 130
        assert shown(Outcome.SHIPPED) == "shipped"
    assert outcomes.verdict(Outcome.REJECTED, "422") == "rejected (422)"
    assert outcomes.remark(Outcome.REJECTED, "422") == "rejected: 422"


def test_what_was_done_to_an_entry_stands_behind_its_verdict() -> None:
    """Repairs and hidden secrets are listed after the verdict, or nothing if there are none."""
    assert (outcomes.repaired([]), outcomes.hidden([])) == ("", "")
    repairs = [Repair("request", Format.JSON), Repair("response", Format.TEXT)]
    assert outcomes.repaired(repairs) == ", repaired: request json, response text"
    assert outcomes.hidden([Secret("name", "password", 2)]) == ", hidden: name password 2"


def test_what_is_pending_is_under_way() -> None:
    """Pending outcomes are among the places, and no place is listed twice."""
    assert set(PENDING) < UNDER_WAY
    assert set(PENDING) < set(PLACES)
    assert set(ALWAYS_SHOWN) < set(PLACES)
    assert len(set(PLACES)) == len(PLACES)
