"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from akto_mirror.delivery.spool import journal
from tests.support.environment import strip, trust_few
from tests.support.proxy import under_run

# The same examples in each run, of which few suffice, unless EXPLORE asks for new ones; a busy machine fails no test.
EXPLORES = "EXPLORE" in os.environ
settings.register_profile(
    "ours",
    deadline=None,
    max_examples=100 if EXPLORES else 50,
    derandomize=not EXPLORES,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")

# Early, because fixtures of modules start processes too.
strip()
trust_few()


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave out what an addon of the user who runs the tests has spooled."""
    state: Path = tmp_path_factory.getbasetemp() / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state / os.urandom(6).hex()))


@pytest.fixture
def synchronous() -> str:
    """Whether SQLite in this process waits until the disk has written; no test cuts the power."""
    return "OFF"


@pytest.fixture(autouse=True)
def _disk(monkeypatch: pytest.MonkeyPatch, synchronous: str) -> None:
    monkeypatch.setattr(journal, "SYNCHRONOUS", synchronous)


@pytest.fixture(params=["mitmdump", pytest.param("akto-mirror run", marks=pytest.mark.slow)])
def program(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test of the addon with `mitmdump -s akto_addon.py` and with `akto-mirror run`.

    What the addon is compared with stays mitmdump.
    """
    if request.param == "mitmdump":
        yield request.param
        return
    with under_run():
        yield request.param
