"""Delivery contract, line 1: conservation, checked against a model for sequences of events from hypothesis."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from akto_mirror.delivery.retry import Durability
from akto_mirror.outcomes import Dropped
from tests.faults.driver import Driver, ok
from tests.faults.machine import Delivery

Delivery.TestCase.settings = settings(
    max_examples=int(os.environ.get("MACHINE_EXAMPLES", "60")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "akto_mirror")


TestDelivery = pytest.mark.timeout(600)(Delivery.TestCase)


def test_the_machine_can_fail(tmp_path: Path) -> None:
    """The state machine's invariant fails if an entry is not counted."""
    driver = Driver(tmp_path / "spool", Durability.MEMORY)
    driver.offer(b"one")
    driver.stats.lose(Dropped.FAULT)
    driver.stats._dropped.clear()
    assert driver.counts.missing == 1
    driver.run(ok)
    assert driver.counts.missing == 1
