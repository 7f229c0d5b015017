"""What holds for every test."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the person who runs the tests has set for an addon of their own."""
    for name in list(os.environ):
        if name.startswith("AKTO_"):
            monkeypatch.delenv(name)
