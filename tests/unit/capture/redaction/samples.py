"""Sample texts for redaction, one for each way of writing a secret."""

from __future__ import annotations

from akto_mirror.capture.redaction import Redaction, payload

SECRET = "Zwei2hnt"
FIELDS = Redaction.of([], ["common"])


def hidden(text: str, content_type: str = "", redaction: Redaction = FIELDS) -> str:
    """Redact a text in which `%s` stands for the secret."""
    return payload(text.replace("%s", SECRET), content_type, redaction)
