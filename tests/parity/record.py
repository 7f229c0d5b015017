"""Records the Worker's result for each case, and compares it with the committed record and with the addon.

    python -m tests.parity.record [--rig FILE] [--modules DIR] [--write]

The rig, which runs Akto's own Worker in workerd, is not part of this project: it is `../shared/parity/rig.mjs` next to
it, unless `--rig` is given. Exit codes: 0 all equal, 1 something differs, 3 skipped because node or the rig is missing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.parity import goldens, oracle, platform, proxy, worker
from tests.parity.cases import Case, all_cases
from tests.parity.goldens import Fact

PROJECT = Path(__file__).resolve().parents[2]
RIG = PROJECT.parent / "shared" / "parity" / "rig.mjs"
CACHE = PROJECT / ".cache" / "parity"
MINIFLARE = "4.20260426.0"
INSTALL_S = 600
DIFFERENT, MISSING = 1, 3
STREAMS = ("auto", "always", "never")


class MissingError(Exception):
    """Something that a recording needs is missing on this machine."""


def say(line: str) -> None:
    """Print a line, unbuffered."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity.record", description="Record again and compare.")
    parser.add_argument("--rig", type=Path, default=RIG, help="the script that runs the Worker (%(default)s)")
    parser.add_argument("--modules", type=Path, help=f"folder with node_modules/miniflare (default: in {CACHE})")
    parser.add_argument("--write", action="store_true", help="write the new record to tests/parity/goldens.json")
    options = parser.parse_args(arguments)
    try:
        modules = _prerequisites(options.rig, options.modules)
    except MissingError as missing:
        say(f"parity: skipped: {missing}")
        return MISSING
    return _compare(options.rig, modules, write=options.write)


def _prerequisites(rig: Path, modules: Path | None) -> Path:
    """Return the folder with Miniflare, which is installed if necessary.

    Raises:
        MissingError: If node, npm, the rig or Miniflare is not available.
    """
    if not shutil.which("node"):
        raise MissingError("node is not installed")
    if not rig.is_file():
        raise MissingError(f"there is no rig at {rig}; name one with --rig")
    folder = modules or CACHE
    if _version(folder) == MINIFLARE:
        return folder
    if modules:
        raise MissingError(f"{modules} has no node_modules/miniflare {MINIFLARE}")
    return _install(folder)


def _version(folder: Path) -> str:
    description = folder / "node_modules" / "miniflare" / "package.json"
    return str(json.loads(description.read_text("utf-8"))["version"]) if description.is_file() else ""


def _install(folder: Path) -> Path:
    if not shutil.which("npm"):
        raise MissingError("npm is not installed; give a folder with Miniflare by --modules")
    say(f"parity: installing miniflare {MINIFLARE} in {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"miniflare@{MINIFLARE}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S)
    if done.returncode or _version(folder) != MINIFLARE:
        raise MissingError(
            f"npm cannot install miniflare {MINIFLARE}: {done.stderr.strip()[-300:] or 'no reason given'}"
        )
    return folder


def _compare(rig: Path, modules: Path, *, write: bool) -> int:
    cases = all_cases()
    say(f"parity: {len(cases)} cases through the Worker")
    fresh = worker.record(cases, rig, modules)
    if write:
        goldens.save(fresh, goldens.GOLDENS)
        say(f"parity: written to {goldens.GOLDENS}")
    found = _report("the record and the Worker", _stale(goldens.load(), fresh))
    found += _report(f"workerd on {3 * oracle.COUNT} random inputs", oracle.differences(modules))
    for stream in STREAMS:
        found += _report(f"the addon, akto_stream={stream}", _against_addon(cases, fresh, stream))
    say(f"parity: {found or 'no'} differences")
    return DIFFERENT if found else 0


def _report(what: str, lines: Iterator[str]) -> int:
    found = list(lines)
    say(f"parity: {what}: {f'{len(found)} differences' if found else 'equal'}")
    for line in found:
        say(f"  {line}")
    return len(found)


def _stale(recorded: Mapping[str, Fact], fresh: Mapping[str, Fact]) -> Iterator[str]:
    for name in {**recorded, **fresh}:
        before, now = recorded.get(name, {}), fresh.get(name, {})
        for field in {**before, **now}:
            if before.get(field) != now.get(field):
                yield f"{name}: {field}: recorded {before.get(field)!a}, now {now.get(field)!a}"


def _against_addon(cases: Sequence[Case], facts: Mapping[str, Fact], stream: str) -> Iterator[str]:
    run = proxy.run(cases, stream)
    for case in cases:
        for line in platform.differences(case.name, facts[case.name], run.fact(case.name)):
            yield f"{case.name}: {line}"


if __name__ == "__main__":
    sys.exit(main())
