"""Observations, from which metrics and commands are shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.telemetry.observation import observe
from tests.support.spools import BATCH, spool


def shipper(oldest_s: float = 2.0) -> Any:
    """Return a shipper with entries in its queue."""
    return SimpleNamespace(oldest_s=oldest_s, queue_bytes=7)


def test_without_a_shipper_and_a_spool() -> None:
    """In a dry run nothing waits, and nothing is on disk."""
    seen = observe(Stats(), None, 64, None, "")
    assert (seen.queue_bytes, seen.queue_limit, seen.spool_bytes, seen.dead_bytes, seen.oldest_s) == (
        0,
        64,
        None,
        None,
        0,
    )


@pytest.mark.parametrize(("target", "counts"), [("t", True), ("other", False)])
def test_what_is_on_disk_has_its_age(target: str, counts: bool, tmp_path: Path) -> None:
    """The oldest entry counts, in memory or on disk, except for entries for another target."""
    made = spool(tmp_path)
    made.put(BATCH)
    made.close()
    seen = observe(Stats(), shipper(), 64, made.folder, target)
    assert seen.spool_bytes is not None
    assert seen.spool_bytes >= sum(map(len, BATCH))
    assert seen.dead_bytes == 0
    assert (seen.oldest_s > 2.0) is counts
    assert seen.queue_bytes == 7
