"""Recordings for the tests of replay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.data import DATA


@pytest.fixture
def attached(tmp_path: Path) -> Path:
    """Return a HAR file of Playwright, with its bodies beside it, in a copied folder."""
    return Path(shutil.copytree(DATA / "field" / "playwright-attach", tmp_path / "attached")) / "x.har"
