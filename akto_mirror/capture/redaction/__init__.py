"""Removes secrets from an entry before it is queued, recognising them by their names and by their form.

`hiding` is the front: it hides in headers, paths and payloads, and counts what it hid. A `gate` decides in one pass
whether there is anything to look at; then the walkers (`json_walk`, `markup`, `pairs`, `plain`, `framed`) judge names
and values at the leaves, and write only what changed. Where a text can be read in two ways, more is hidden rather than
less.
"""

from akto_mirror.capture.redaction.hiding import Hiding, Redaction

__all__ = ["Hiding", "Redaction", "headers", "path", "payload"]


def path(target: str, redaction: Redaction) -> str:
    """Hide in a path."""
    if not redaction:
        return target
    return Hiding(redaction).path(target)


def headers(values: dict[str, str], redaction: Redaction) -> dict[str, str]:
    """Hide in headers."""
    if not redaction:
        return values
    return Hiding(redaction).headers(values)


def payload(text: str, content_type: str, redaction: Redaction) -> str:
    """Hide in a payload."""
    if not redaction:
        return text
    return Hiding(redaction).payload(text, content_type)
