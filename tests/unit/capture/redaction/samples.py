"""Texts with a secret in them, one for each way of writing it, and what redaction is tried with."""

from __future__ import annotations

from akto_mirror.capture.redaction import Redaction, payload

SECRET = "Zwei2hnt"
FIELDS = Redaction.of([], ["common"])


def hidden(text: str, content_type: str = "", redaction: Redaction = FIELDS) -> str:
    """Redact a text in which `%s` stands for the secret."""
    return payload(text.replace("%s", SECRET), content_type, redaction)
