"""Delivery contract, line 3: with `disk`, old enough entries survive `kill -9`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import kills
from tests.faults.destinations import Topic


def check(verdict: kills.Verdict) -> None:
    """Fail with the whole verdict if the guarantee was broken, or if the run proved nothing."""
    assert verdict.owed > verdict.kills, verdict
    assert verdict.lost == 0, verdict
    assert verdict.invented == 0, verdict
    assert verdict.duplicated <= verdict.allowed, verdict


@pytest.mark.usefixtures("program")
@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_a_few_kills(tmp_path: Path) -> None:
    """Line 3: two kills under load lose nothing that is older than akto_linger_ms and a second."""
    check(kills.run(2, tmp_path, seed=1))


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_few_kills_with_kafka(tmp_path: Path) -> None:
    """Line 3: nothing is lost with Kafka either, with unacknowledged records and brokers that are down."""
    verdict = kills.run(4, tmp_path, seed=3, longest_s=8.0, destination=Topic)
    assert verdict.owed > 0, verdict
    assert (verdict.lost, verdict.invented) == (0, 0), verdict
    assert verdict.duplicated <= verdict.allowed, verdict


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_hundred_kills(tmp_path: Path) -> None:
    """Line 3: a hundred kills lose nothing either; `python -m tests.faults.kills 100` prints the figures."""
    check(kills.run(100, tmp_path, seed=2))
