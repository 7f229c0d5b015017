"""Recordings for the tests of replay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.data import DATA


@pytest.fixture
def attached(tmp_path: Path) -> Path:
    """A HAR file of Playwright with its bodies beside it, in a folder that may be changed."""
    return Path(shutil.copytree(DATA / "field" / "playwright-attach", tmp_path / "attached")) / "x.har"
