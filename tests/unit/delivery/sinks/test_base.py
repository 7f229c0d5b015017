"""The result of an attempt for each entry of a batch."""

from __future__ import annotations

import pytest

from akto_mirror.delivery.sinks.base import EntryResult, SendResult
from akto_mirror.delivery.sinks.symptoms import Cause, Kind

DELIVERED, REFUSED, TOO_LARGE, UNKNOWN = EntryResult


@pytest.mark.parametrize(
    ("result", "entry_result"),
    [
        (SendResult(200), DELIVERED),
        (SendResult(422), REFUSED),
        (SendResult(413), TOO_LARGE),
        (SendResult(None, cause=Cause.TOO_LARGE), TOO_LARGE),
        (SendResult(401), UNKNOWN),
        (SendResult(503), UNKNOWN),
        (SendResult(None, "no route"), UNKNOWN),
    ],
)
def test_entries_share_what_an_answer_says(result: SendResult, entry_result: EntryResult) -> None:
    """If a destination judges the batch as a whole, all entries have the same result."""
    assert result.results_of(2) == (entry_result, entry_result)
    assert (result.kind is Kind.SHIPPED) is (entry_result is DELIVERED)


def test_a_destination_may_judge_each() -> None:
    """If an entry was refused, entries may be to blame, whatever the status is."""
    result = SendResult(200, entry_results=(DELIVERED, REFUSED))
    assert result.results_of(2) == (DELIVERED, REFUSED)
    assert result.blames_entries
    assert not SendResult(200, entry_results=(DELIVERED, UNKNOWN)).blames_entries


def test_texts_name_cause_and_remedy() -> None:
    """A dead letter gets the cause, and the log its remedy too; without an answer, only the error is known."""
    refused = SendResult(422, "bad entry")
    assert refused.reason == f"422 bad entry ({refused.why.sentence})"
    assert refused.explained == f"answer 422 bad entry; {refused.why.sentence}: {refused.why.remedy}"
    assert SendResult(None, "no route").reason == "no route"
    assert SendResult(200, "{}").answer == "200 {}"
