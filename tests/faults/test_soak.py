"""Delivery contract, lines 1, 3, 4 and 7 together: random failures under load, with an oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import soak


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_forty_seconds(tmp_path: Path) -> None:
    """No entry that must arrive is lost, and duplicates are explained; `make soak` runs ten minutes."""
    tally = soak.run(40, tmp_path, seed=1)
    assert len(tally.owed) > 100, tally
    assert tally.calls > 30, tally
    assert tally.is_good, tally


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_minute_with_sampling(tmp_path: Path) -> None:
    """Each request is captured or skipped, and captured entries arrive; `make soak` runs longer."""
    tally = soak.run(60, tmp_path, seed=2, samples=True)
    assert tally.captured > 100, tally
    assert tally.skipped > 100, tally
    assert tally.is_good, tally
