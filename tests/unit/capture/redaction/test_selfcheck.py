"""The self-check at start, and the trial of user-defined expressions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from akto_mirror.capture.redaction import framed, json_walk, markup, pairs, plain, selfcheck
from akto_mirror.capture.redaction.rules import expressions


def clock(step: float) -> Iterator[float]:
    """Return times that are this many seconds apart."""
    return count(0.0, step)


def test_it_passes() -> None:
    """The check passes with this version of Python."""
    selfcheck.check()


@pytest.mark.parametrize(
    ("module", "name", "replacement"),
    [
        (json_walk, "walk", lambda data, *_: data),
        (markup, "walk", lambda data, *_: data),
        (plain, "walk", lambda data, *_: data),
        (pairs, "walk", lambda data, *_: data),
        (pairs, "cookies", lambda value, *_, **__: value),
        (framed, "events", lambda data, *_: data),
        (framed, "parts", lambda data, *_: data),
        (framed, "grpc_messages", lambda text, *_: text),
    ],
)
def test_a_part_that_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, replacement: object
) -> None:
    """The check fails if redaction of one format does not work."""
    monkeypatch.setattr(module, name, replacement)
    with pytest.raises(ValueError, match="fails to hide a secret in a sample"):
        selfcheck.check()


def test_an_expression_that_takes_too_long() -> None:
    """An expression that takes too long is refused by name."""
    slow = clock(selfcheck.TRIAL_SECONDS + 0.01)
    with pytest.raises(ValueError, match="badge takes too long on 65,536 bytes of 'a'"):
        selfcheck.try_out("badge", "B-[0-9]+", lambda: next(slow))
    fast = clock(selfcheck.TRIAL_SECONDS / 2)
    selfcheck.try_out("badge", "B-[0-9]+", lambda: next(fast))


def test_an_expression_of_exponential_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression of exponential time is refused on a short text if only Python's own module is available."""
    monkeypatch.setattr(expressions, "re2", None)
    with pytest.raises(ValueError, match="slow takes too long on 24 bytes of 'a'"):
        selfcheck.try_out("slow", "(a+)+b", time.thread_time)
