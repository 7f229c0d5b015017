"""Delivery contract, line 4: the kind of each answer, and the wait before the next attempt."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.delivery import retry
from akto_mirror.delivery.retry import Health, Pace
from akto_mirror.delivery.sinks.symptoms import Cause, Kind, blames_entries, of_status

PACE = Pace()

TRANSIENT = {408, 422, 425, 429} | set(range(500, 600))
AUTH = {401, 403}


def expected(status: int) -> Kind:
    """Return the kind that the contract gives a status."""
    if status == 200:
        return Kind.SHIPPED
    if status in TRANSIENT:
        return Kind.TRANSIENT
    return Kind.AUTH if status in AUTH else Kind.SETUP


def test_every_status() -> None:
    """Line 4: each status from 100 to 599 has the kind of the contract."""
    assert [status for status in range(100, 600) if of_status(status).kind is not expected(status)] == []


def test_no_answer_is_transient() -> None:
    """Line 4: network errors may pass."""
    assert of_status(None).kind is Kind.TRANSIENT


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_remedy(cause: Cause) -> None:
    """Line 4: each cause is one line, and has a remedy of one line."""
    assert cause.sentence.isprintable()
    assert cause.remedy.isprintable()
    assert cause.sentence
    assert bool(cause.remedy) == (cause is not Cause.NONE)


@pytest.mark.parametrize(
    ("status", "word"),
    [(401, "akto_token"), (403, "akto_token"), (404, "path"), (308, "redirects"), (413, "batch_bytes")],
)
def test_remedies_name_the_mistake(status: int, word: str) -> None:
    """Line 4: the remedy names the option or part of the setup."""
    assert word in of_status(status).remedy


def test_what_may_be_the_entries_fault() -> None:
    """Line 4: 400, 413, 422 and 500 can be caused by an entry; other statuses cannot."""
    assert all(map(blames_entries, (400, 413, 422, 500)))
    assert not any(map(blames_entries, (None, 200, 301, 401, 403, 404, 405, 408, 429, 502, 503, 504)))


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_waits_are_bounded(failures: int, chance: float) -> None:
    """Line 4: with full jitter, a wait is between 0 and a bound that doubles up to 30 s."""
    wait = retry.wait_s(failures, chance, PACE)
    assert 0 <= wait <= min(30.0, 0.25 * 2.0 ** min(failures - 1, 20))


def test_waits_reach_their_bound() -> None:
    """Line 4: the jitter covers the whole range."""
    assert [retry.wait_s(n, 1.0, PACE) for n in (1, 2, 3, 7, 8, 9)] == [0.25, 0.5, 1.0, 16.0, 30.0, 30.0]
    assert retry.wait_s(9, 0.0, PACE) == 0


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("86400", 300.0),
        ("9" * 400, None),
        (formatdate(NOW + 60, usegmt=True), 60.0),
        (formatdate(NOW - 60, usegmt=True), 0.0),
        (formatdate(NOW + 10**6, usegmt=True), 300.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    """Line 4: both forms of Retry-After are read and limited to five minutes; anything else is ignored."""
    assert retry.retry_after_s(header, NOW) == seconds


@given(st.text())
def test_any_retry_after(header: str) -> None:
    """Line 4: no header raises an error or makes the wait longer than five minutes."""
    found = retry.retry_after_s(header, NOW)
    assert found is None or 0 <= found <= 300


def test_health_waits_and_recovers() -> None:
    """Line 4: waits grow while Akto is down, and end when an attempt succeeds."""
    health = Health(PACE)
    assert health.due_in(0) == 0
    health.failed(Kind.TRANSIENT, 0, 1.0)
    health.failed(Kind.TRANSIENT, 0, 1.0)
    assert (health.due_in(0), health.due_in(0.5)) == (0.5, 0)
    health.passed()
    assert health.is_up
    assert health.due_in(0) == 0
    health.failed(Kind.TRANSIENT, 0, 1.0)
    assert health.due_in(0) == 0.25


def test_attempts_have_no_limit() -> None:
    """Line 4: the ten thousandth attempt comes as soon as the tenth."""
    health = Health(PACE)
    for _ in range(10_000):
        health.failed(Kind.TRANSIENT, 0, 1.0)
    assert health.due_in(0) == 30


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.SETUP])
def test_a_person_is_waited_for_slowly(kind: Kind) -> None:
    """Line 4: with a refused token or a wrong address there is one attempt a minute, without jitter."""
    health = Health(PACE)
    health.failed(kind, 0, 0.0)
    assert health.due_in(0) == 60


def test_the_longer_wait_wins() -> None:
    """Line 4: the wait is the longer of Retry-After and the back-off."""
    health = Health(PACE)
    health.failed(Kind.TRANSIENT, 0, 1.0, retry_after=120)
    assert health.due_in(0) == 120
    health.failed(Kind.TRANSIENT, 0, 1.0, retry_after=0)
    assert health.due_in(0) == 0.5
