"""Outcomes of a replay's flows add up in one line."""

from __future__ import annotations

from collections import Counter

from akto_mirror.outcomes import Reason
from akto_mirror.replay.tally import Tally


def test_a_replay_of_nothing() -> None:
    """Without flows the sum has only the columns that are always shown."""
    assert Tally().line("0 shipped") == "0 flows = 0 shipped + 0 skipped"
    assert Tally().eligible() == 0


def test_every_flow_is_in_the_sum() -> None:
    """Each flow is in the column of its outcome; repairs and replaced times are listed after them."""
    tally = Tally(
        flows=20,
        before=3,
        foreign=2,
        unreadable=1,
        errors=1,
        captured=8,
        skipped=Counter({Reason.STATUS: 4, Reason.CONTENT_TYPE: 1}),
        repaired=2,
        timeless=1,
    )
    assert tally.eligible() == 20 - 3 - 2 - 2 - 5
    line = tally.line("6 shipped", Counter({"422": 2}))
    assert line == (
        "20 flows = 6 shipped + 5 skipped (status 4, content type 1) + 3 done before + 2 not HTTP + 2 unreadable"
        " + 2 not shipped (422 2); payloads repaired: 2; times outside 1970 to now, which became now: 1"
    )


def test_one_flow_is_not_several() -> None:
    """One flow is in the singular."""
    assert Tally(flows=1, captured=1).line("1 shipped").startswith("1 flow = ")
