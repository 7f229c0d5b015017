"""The declarations of the options."""

from __future__ import annotations

import re

import pytest

from akto_mirror.config import declarations
from akto_mirror.config.declarations import OPTIONS


def test_every_option_is_declared_as_mitmproxy_and_users_need_it() -> None:
    """Each option has the addon's prefix, a help text of one paragraph, and a default of its type."""
    for option in OPTIONS:
        assert re.fullmatch("akto_[a-z0-9_]+", option.name)
        assert option.help.endswith(".")
        assert "\n" not in option.help
        assert isinstance(option.default, option.type if isinstance(option.type, type) else list)
        assert not option.choices or option.default in option.choices


@pytest.mark.parametrize(
    ("name", "option"),
    [("akto_bodylimit", "akto_body_limit"), ("AKTO_TOKEN", "akto_token"), ("akto_url", "akto_url"), ("mode", "")],
)
def test_the_nearest_option_is_found(name: str, option: str) -> None:
    """A misspelt name gives the nearest option; names of other addons' options give none."""
    assert declarations.nearest(name) == option


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("akto_token", "hunter2", "(hidden)"),
        ("akto_tokn", "hunter2", "(hidden)"),
        ("akto_url", "http://u:hunter2@h/?key", "http://(hidden)@h/?(hidden)"),
        ("akto_body_limit", "many", "many"),
    ],
)
def test_no_error_shows_a_secret(name: str, value: str, shown: str) -> None:
    """A value that may be secret is hidden, even if the option's name is misspelt."""
    assert declarations.shown_value(name, value) == shown
    assert str(declarations.ConfigError(name, value, "why")) == f"{name}={shown}: why"
