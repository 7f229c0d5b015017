"""What holds for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy is not a fault.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Clients of the tests talk to this machine, whatever proxy its user goes through; fixtures of modules do so early.
for _name in list(os.environ):
    if _name.lower().endswith("_proxy"):
        del os.environ[_name]


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave out what the person who runs the tests has set for an addon of their own, and what it has spooled."""
    state: Path = tmp_path_factory.getbasetemp() / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state / os.urandom(6).hex()))
    for name in list(os.environ):
        if name.startswith("AKTO_"):
            monkeypatch.delenv(name)
