"""The delivery's log lines, and their rate."""

from __future__ import annotations

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.delivery.report import NEW_EVERY_S, SAME_EVERY_S, Report, is_round
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.symptoms import Kind

DOWN = SendResult(503)


@pytest.fixture
def report(caplog: pytest.LogCaptureFixture) -> Report:
    """Return a report for a proxy whose entries wait in memory."""
    caplog.set_level("INFO")
    return Report(Stats(), lambda: "in memory")


def test_an_outage_is_logged_once_in_a_while(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """An outage is logged at intervals, with where entries wait; the recovery is logged once."""
    for now in (0, 1, SAME_EVERY_S - 1, SAME_EVERY_S):
        report.failed(Kind.TRANSIENT, DOWN, now)
    for _ in range(2):
        report.shipped(1000, 5, 0.25)
    logged = [record.getMessage() for record in caplog.records]
    assert ["entries wait in memory" in line for line in logged] == [True, True, False, False, False]
    assert logged[2:] == ["akto: sending works again", *["akto: sent 1,000 entries (5 bytes) in 250 ms"] * 2]


def test_a_refused_token_is_logged_once_a_row(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """A refused token is logged once, however long it lasts; an error of another kind is logged soon."""
    for now in (0, 10 * SAME_EVERY_S):
        report.failed(Kind.AUTH, SendResult(401), now)
    assert len(caplog.records) == 1
    report.failed(Kind.TRANSIENT, DOWN, 10 * SAME_EVERY_S)
    assert len(caplog.records) == 2


def test_refused_entries_are_summed_up(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """The first refused entry is logged at once, the others with the next line."""
    for now in (0, 1, 2, NEW_EVERY_S):
        report.rejected(f"422 at {now:g}", now)
    assert [record.getMessage() for record in caplog.records] == [
        "akto: 1 entry was refused for good; the last: 422 at 0",
        "akto: 3 entries were refused for good; the last: 422 at 30",
    ]


def test_round_counts() -> None:
    """Round counts are powers of ten."""
    assert [count for count in range(1, 1001) if is_round(count)] == [1, 10, 100, 1000]
