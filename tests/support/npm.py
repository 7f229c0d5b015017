"""npm packages that tests use: real peers and independent checks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.environment import for_registries

INSTALL_S = 60


def install(package: str, folder: Path) -> Path:
    """Install a package and return its folder; skip the test if npm or a registry is missing."""
    if not shutil.which("npm"):
        pytest.skip(f"npm is not installed, which brings {package}")
    once = ["--no-audit", "--no-fund", "--fetch-retries=0", f"--fetch-timeout={1000 * INSTALL_S // 2}"]
    command = ["npm", "install", *once, "--prefix", str(folder), package]
    try:
        done = subprocess.run(
            command, env=for_registries(), capture_output=True, text=True, check=False, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm cannot install {package} within {INSTALL_S} s")
    if done.returncode:
        pytest.skip(f"npm cannot install {package}: {done.stderr.strip()[-300:] or 'no reason given'}")
    return folder
