"""Keys, fields and elements, such as `name` and `value`, that hold the name of a secret or its value."""

from __future__ import annotations

from functools import lru_cache

from akto_mirror.capture.redaction.rules.names import listed, words

NAMING = listed(
    "name key k n field header param parameter property attribute id label variable var option setting path"
)
# Members that hold the value whatever else stands beside them, as words and as a whole.
VALUES = listed("value values val vals v")
HOLDING = listed("content contents data text string default answer input placeholder")
# How converters from XML write the text of an element.
TEXTS = frozenset((b"#text", b"$t", b"$", b"_", b"__text"))

MAX_KEY = 64


@lru_cache(maxsize=4096)
def names_another(raw: bytes) -> bool:
    """Return whether a member's value is the name of what stands beside it: `name`, `paramName`, `field_key`."""
    parts = words(raw.decode("utf-8", "replace")) if len(raw) <= MAX_KEY else []
    return bool(parts) and (parts[-1] in NAMING or parts[-1].endswith("name"))


@lru_cache(maxsize=4096)
def is_value(raw: bytes) -> bool:
    """Return whether a member says that it is a value: `value`, `stringValue`, `field_value`, `valueString`."""
    parts = words(raw.decode("utf-8", "replace")) if len(raw) <= MAX_KEY else []
    return not VALUES.isdisjoint(parts) or (bool(parts) and parts[-1].endswith("value"))


@lru_cache(maxsize=4096)
def holds(raw: bytes) -> bool:
    """Return whether a member holds the value of a name beside it: also `content`, `default`, `#text`."""
    if is_value(raw) or raw in TEXTS:
        return True
    parts = words(raw.decode("utf-8", "replace")) if len(raw) <= MAX_KEY else []
    return len(parts) == 1 and parts[0] in HOLDING
