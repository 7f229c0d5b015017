"""The versions that constraints.txt locks."""

from __future__ import annotations

from packaging.requirements import Requirement

from tests.support.proxy import ROOT

CONSTRAINTS = ROOT / "constraints.txt"


def locked(python: str) -> dict[str, str]:
    """Return the version of each package that is locked for a version of Python on Linux."""
    lines = [Requirement(line) for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    here = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "os_name": "posix"}
    taken = [line for line in lines if line.marker is None or line.marker.evaluate(here)]
    assert len({line.name for line in taken}) == len(taken)
    return {line.name: str(line.specifier).removeprefix("==") for line in taken}
