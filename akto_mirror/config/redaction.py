"""Declares and parses the options of redaction."""

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
        "Headers whose values are hidden before anything is queued, matched by whole words of their names; common "
        "means well-known ones (authorization, cookie, set-cookie, x-api-key and similar). Schemes such as Bearer and "
        "the names of cookies stay, because Akto detects authentication types by them.",
    ),
    Option(
        "akto_redact_fields",
        Sequence[str],
        [],
        "Keys, fields, parameters, elements and attributes whose values are hidden before anything is queued, matched "
        "by whole words of their names: token also matches accessToken, user[token] and X-Api-Token. common means "
        "well-known ones (password, token, secret, card_number and similar).",
    ),
    Option(
        "akto_redact_values",
        Sequence[str],
        [],
        "Secrets that are hidden wherever they occur, recognised by their form: common (payment card numbers, JWTs, "
        "private keys, and API keys of well-known services), email, or a regular expression of your own as "
        "NAME=PATTERN.",
    ),
    Option(
        "akto_redact_unreadable",
        str,
        "drop",
        "With akto_redact_fields or akto_redact_values, what happens to payloads that cannot be searched for secrets "
        "because they are binary or compressed in an unknown way. drop: they are replaced by [redacted]. keep: they "
        "are shipped.",
        choices=("drop", "keep"),
    ),
)


def read(known: Mapping[str, Any]) -> Redaction:
    """Return the rules of redaction for the options' values.

    Raises:
        ValueError: a value of `akto_redact_values` is neither a known kind nor a valid expression.
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
