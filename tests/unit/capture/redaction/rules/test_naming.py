"""Which members hold a name, and which the value that belongs to it."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction.rules.naming import holds, is_value, names_another


@pytest.mark.parametrize("name", [b"name", b"Name", b"paramName", b"field_key", b"parametername", b"@key"])
def test_names(name: bytes) -> None:
    """Members that hold a name are recognised by the last word."""
    assert names_another(name)


@pytest.mark.parametrize("name", [b"value", b"stringValue", b"field_value", b"valueString", b"@value"])
def test_values(name: bytes) -> None:
    """Members that hold a value are recognised by any word."""
    assert is_value(name)
    assert holds(name)


@pytest.mark.parametrize("name", [b"content", b"default", b"#text", b"$t", b"answer"])
def test_what_holds_a_value_without_saying_so(name: bytes) -> None:
    """Other members that hold a value are recognised by the whole word only."""
    assert holds(name)
    assert not is_value(name)


@pytest.mark.parametrize("name", [b"", b"type", b"enabled", b"named", b"content_type", b"evaluate", b"x" * 100])
def test_others(name: bytes) -> None:
    """Other members hold neither a name nor a value."""
    assert not names_another(name)
    assert not holds(name)
