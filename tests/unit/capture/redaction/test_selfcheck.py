"""The check at start."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction import framed, json_walk, markup, pairs, plain, selfcheck


def test_it_passes() -> None:
    """Here."""
    selfcheck.check()


@pytest.mark.parametrize(
    ("module", "name", "replacement"),
    [
        (json_walk, "walk", lambda data, *_: data),
        (markup, "walk", lambda data, *_: data),
        (plain, "walk", lambda data, *_: data),
        (pairs, "walk", lambda data, *_: data),
        (pairs, "cookies", lambda value, *_, **__: value),
        (framed, "events", lambda data, *_: data),
        (framed, "parts", lambda data, *_: data),
        (framed, "grpc_messages", lambda text, *_: text),
    ],
)
def test_a_part_that_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, replacement: object
) -> None:
    """Ends the start."""
    monkeypatch.setattr(module, name, replacement)
    with pytest.raises(ValueError, match="fails to hide a secret in a sample"):
        selfcheck.check()
