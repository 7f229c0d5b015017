"""The options of redaction: their declarations, and own expressions tried out before they meet payloads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from akto_mirror.capture.redaction import Redaction
from akto_mirror.capture.redaction.rules import expressions
from akto_mirror.capture.redaction.rules.names import Names
from akto_mirror.capture.redaction.rules.values import MOST_FOUND, Values, rules
from akto_mirror.config.option import Option

REDACTION = (
    Option(
        "akto_redact_headers",
        Sequence[str],
        [],
        "Headers whose values are replaced before anything is queued, by the words of their names; common stands for "
        "the usual ones (authorization, cookie, set-cookie, x-api-key and their like). Schemes such as Bearer and the "
        "names of cookies stay, by which Akto finds authentication types.",
    ),
    Option(
        "akto_redact_fields",
        Sequence[str],
        [],
        "Keys, fields, parameters, elements and attributes whose values are replaced before anything is queued, by the "
        "words of their names: token is also accessToken, user[token] and X-Api-Token. common stands for the usual "
        "ones (password, token, secret, card_number and their like).",
    ),
    Option(
        "akto_redact_values",
        Sequence[str],
        [],
        "Secrets that are replaced wherever they stand, by their looks: common (payment cards, JWTs, private keys, and "
        "keys of the usual services), email, or an expression of your own as NAME=PATTERN.",
    ),
    Option(
        "akto_redact_unreadable",
        str,
        "drop",
        "What becomes of payloads in which no secret could be found, as they are compressed in an unknown way or "
        "binary, where akto_redact_fields or akto_redact_values is set. drop: [redacted] stands in their place. keep: "
        "they are shipped.",
        choices=("drop", "keep"),
    ),
)

# What an expression is tried out on: texts of the size of a payload as untrusted clients could send them. Where nothing
# but Python's own module is there, one that takes exponential time shows on very little.
TRIAL_UNITS = (b"a", b"1", b"a1", b"a ", b"1-", b"ab.", b"aA0_-", b'{"a":1},')
TRIAL_SIZE = 64 * 1024
TRIAL_SHORT = 24
TRIAL_SECONDS = 0.05


def read(known: Mapping[str, Any]) -> Redaction:
    """Return what is to be hidden, by the options' values.

    Raises:
        ValueError: a value of `akto_redact_values` is neither a kind nor a good expression.
    """
    return Redaction(
        Names(known["akto_redact_headers"]),
        Names(known["akto_redact_fields"]),
        _values(known["akto_redact_values"]),
        keep_unreadable=known["akto_redact_unreadable"] == "keep",
    )


def _values(given: Iterable[str]) -> Values:
    found = rules(tuple(given))
    for text in given:
        name, mark, pattern = text.strip().partition("=")
        if mark:
            try_out(name, pattern)
    return found


def try_out(name: str, pattern: str, clock: Callable[[], float] = time.thread_time) -> None:
    """Time an expression.

    Raises:
        ValueError: it takes too long.
    """
    spans = expressions.spans(pattern)
    for size in (TRIAL_SIZE,) if expressions.is_linear() else (TRIAL_SHORT, TRIAL_SIZE):
        for unit in TRIAL_UNITS:
            text = unit * (size // len(unit)) + b"!"
            started = clock()
            for count, _ in enumerate(spans(text)):
                if count == MOST_FOUND:
                    break
            if clock() - started > TRIAL_SECONDS:
                problem = f"takes too long on 64 KB of {unit.decode()!r}; make it simpler"
                raise ValueError(f"the expression of {name} {problem}")
