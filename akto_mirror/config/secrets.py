"""Hides secrets in option values that are shown in errors, reports and logs."""

from __future__ import annotations

import re

from akto_mirror.delivery import destination, kafka_config

# Parts of option names, even misspelt ones, that mark the value as secret.
SECRET = re.compile("tok|key|secret|pass|auth", re.IGNORECASE)


def shown(name: str, value: object, *, is_known: bool) -> str:
    """Return a value without secrets: no token, no secret property, and no user, password or query of a URL.

    Args:
        name: the option's name.
        value: the value as it was given.
        is_known: whether the option exists; the name may be misspelt.
    """
    if SECRET.search(name):
        return "(hidden)"
    items = [str(item) for item in (value if isinstance(value, list) else [value])]
    if name == "akto_kafka" or not is_known:
        items = list(map(_shown_property, items))
    text = ", ".join(items)
    if name == "akto_url" or not is_known:
        return destination.shown_url(text)
    return re.sub("//.*@", "//(hidden)@", text, flags=re.DOTALL)


def _shown_property(item: str) -> str:
    name, mark, _ = item.partition("=")
    return f"{name}=(hidden)" if mark and kafka_config.is_secret(name) else item
