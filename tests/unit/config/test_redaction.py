"""The options of redaction, and the trial of own expressions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from akto_mirror.capture.redaction.rules import expressions
from akto_mirror.config import redaction

KNOWN = {
    "akto_redact_headers": [],
    "akto_redact_fields": ["common", "pin"],
    "akto_redact_values": ["email", "badge=B-[0-9]+"],
    "akto_redact_unreadable": "keep",
}


def clock(step: float) -> Iterator[float]:
    """Return times that lie this many seconds apart."""
    return count(0.0, step)


def test_options() -> None:
    """Become what is to be hidden."""
    read = redaction.read(KNOWN)
    assert read.fields.of_text("user_pin") == "pin"
    assert read.values.kinds == ("email", "badge")
    assert read.keep_unreadable
    assert not redaction.read(KNOWN | {"akto_redact_fields": [], "akto_redact_values": []})


def test_an_expression_that_takes_too_long() -> None:
    """Ends the start, by a line that names it."""
    slow = clock(redaction.TRIAL_SECONDS + 0.01)
    with pytest.raises(ValueError, match="badge"):
        redaction.try_out("badge", "B-[0-9]+", lambda: next(slow))
    fast = clock(redaction.TRIAL_SECONDS / 2)
    redaction.try_out("badge", "B-[0-9]+", lambda: next(fast))


def test_an_expression_of_exponential_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows on a short text where there is only Python's own module."""
    monkeypatch.setattr(expressions, "re2", None)
    with pytest.raises(ValueError, match="slow"):
        redaction.try_out("slow", "(a+)+b")
