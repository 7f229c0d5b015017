"""The options of redaction."""

from __future__ import annotations

from akto_mirror.config import redaction

KNOWN = {
    "akto_redact_headers": [],
    "akto_redact_fields": ["common", "pin"],
    "akto_redact_values": ["email", "badge=B-[0-9]+"],
    "akto_redact_unreadable": "keep",
}


def test_options() -> None:
    """The options become a redaction."""
    read = redaction.read(KNOWN)
    assert read.fields.of_text("user_pin") == "pin"
    assert read.values.kinds == ("email", "badge")
    assert read.keep_unreadable
    assert not redaction.read(KNOWN | {"akto_redact_fields": [], "akto_redact_values": []})
