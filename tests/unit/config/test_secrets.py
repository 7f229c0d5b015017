"""Option values as they are shown."""

from __future__ import annotations

import pytest

from akto_mirror.config import secrets


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("akto_token", "hunter2", "(hidden)"),
        ("akto_url", "http://u:hunter2@h/?key=hunter2", "http://(hidden)@h/?(hidden)"),
        ("akto_kafka", ["linger.ms=5", "ssl.key.password=hunter2"], "linger.ms=5, ssl.key.password=(hidden)"),
        ("akto_routes", ["a.example/*", "b.example/*"], "a.example/*, b.example/*"),
    ],
)
def test_what_is_secret_is_hidden(name: str, value: object, shown: str) -> None:
    """Only the secret parts of a value are hidden."""
    assert secrets.shown(name, value, is_known=True) == shown


def test_a_misspelt_option_hides_what_any_option_would() -> None:
    """With an unknown option's name, everything is hidden that would be hidden for any option."""
    assert "hunter2" not in secrets.shown("akto_ulr", "http://u:hunter2@h", is_known=False)
    assert "hunter2" not in secrets.shown("akto_kafak", ["sasl.password=hunter2"], is_known=False)
