"""Causes of statuses, and remedies."""

from __future__ import annotations

import pytest

from akto_mirror.delivery.sinks.symptoms import Cause, Kind, blames_entries, of_status


@pytest.mark.parametrize(
    ("status", "token", "cause"),
    [
        (200, None, Cause.NONE),
        (204, None, Cause.NOT_AKTO),
        (302, None, Cause.REDIRECT),
        (401, None, Cause.TOKEN),
        (401, "", Cause.TOKEN_MISSING),
        (403, "Bearer x", Cause.TOKEN_BEARER),
        (403, "x", Cause.TOKEN),
        (418, None, Cause.NOT_AKTO),
        (500, None, Cause.SERVICE_ERROR),
        (599, None, Cause.SERVICE_ERROR),
        (None, None, Cause.NETWORK),
    ],
)
def test_a_status_has_a_cause(status: int | None, token: str | None, cause: Cause) -> None:
    """Only 200 means success; the cause of a refused token depends on the token."""
    assert of_status(status, token) is cause


@pytest.mark.parametrize("status", [None, 200, 302, 401, 403, 404, 408, 429, 502, 503])
def test_not_every_refusal_is_due_to_what_was_sent(status: int | None) -> None:
    """Line 5: these statuses are not caused by an entry."""
    assert not blames_entries(status)
    assert all(map(blames_entries, (400, 413, 422, 500)))


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_says_what_to_do(cause: Cause) -> None:
    """Each cause but success has a remedy of one printable line."""
    assert cause.sentence.isprintable()
    assert bool(cause.remedy) is (cause.kind is not Kind.SHIPPED)
    assert cause.remedy.isprintable()
