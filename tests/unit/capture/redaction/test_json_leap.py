"""JSON that is read only around places of possible secrets."""

from __future__ import annotations

from akto_mirror.capture.payload.leaves import Change
from akto_mirror.capture.redaction.gate import gate
from akto_mirror.capture.redaction.json_leap import Leap, looked_into, shown
from akto_mirror.capture.redaction.look import Hidden, Look
from akto_mirror.capture.redaction.rules.masks import MADE_UP_JWT
from akto_mirror.capture.redaction.rules.names import Names

NAMES = Names(["common"])
LOOK = Look(NAMES, Hidden(), 0, lambda text: text.replace(b"x=1", b"x=2"))


def changes(text: bytes) -> list[Change] | None:
    """Return the changes to the text."""
    return Leap(text, gate(NAMES, values=False).places(text), LOOK).changes()


def test_members() -> None:
    """Values of all types are replaced: strings with escaped quotes, numbers, objects and cut strings."""
    assert changes(rb'{"a":"\\","token":"x\"y","b":1}') == [Change(18, 24, b'"[redacted]"')]
    assert changes(b'{"token":-1.5e3}') == [Change(9, 15, b'"[redacted]"')]
    assert changes(b'{"token":{"a":["}"]},"b":1}') == [Change(9, 20, b'"[redacted]"')]
    assert changes(b'{"token":"cut') == [Change(9, 13, b'"[redacted]"')]


def test_names_beside_values() -> None:
    """Names beside values need the whole text to be read."""
    assert changes(b'{"name":"token","value":1}') is None


def test_strings() -> None:
    """Strings that may contain something to hide are searched, and encoded as JSON again."""
    assert looked_into(b"plain", LOOK, ends=True) is None
    assert looked_into(rb"x=1\n", LOOK, ends=True) == rb'"x=2\n"'
    assert looked_into(b"x=1", LOOK, ends=False) == b'"x=2'
    assert shown(b'"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"') == b'"' + MADE_UP_JWT + b'"'
