"""How much work a payload may take."""

from __future__ import annotations

from akto_mirror.capture.redaction.rules.work import MOST_STEPS, Work


def test_steps() -> None:
    """The steps are limited."""
    work = Work(3)
    assert [work.take(), work.take(2), work.take(), work.take(0)] == [True, True, False, False]


def test_a_longer_payload_may_take_more() -> None:
    """The limit grows in proportion to the payload."""
    work = Work(0)
    work.begin(160_000)
    assert work.steps == MOST_STEPS
    work.begin(1_600_000)
    assert work.steps > 9 * MOST_STEPS
