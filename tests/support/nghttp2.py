"""The programs of nghttp2 (Debian: nghttp2-client)."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.proxy import DEADLINE


def run_tool(name: str, *arguments: str) -> str:
    """Run `h2load` or `nghttp` and return its output; skip the test if it is not installed."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} of nghttp2-client is not installed")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=DEADLINE, check=True)
    return done.stdout
