"""The options of redaction: their declarations, and what they come to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from akto_mirror.capture.config import Redaction, selfcheck
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


def read(known: Mapping[str, Any]) -> Redaction:
    """Return what is to be hidden, by the options' values.

    Raises:
        ValueError: a value of `akto_redact_values` is neither a kind nor a good expression.
    """
    found = Redaction.of(
        known["akto_redact_headers"],
        known["akto_redact_fields"],
        known["akto_redact_values"],
        keep_unreadable=known["akto_redact_unreadable"] == "keep",
    )
    for text in known["akto_redact_values"]:
        name, mark, pattern = text.strip().partition("=")
        if mark:
            selfcheck.try_out(name, pattern, time.thread_time)
    return found
