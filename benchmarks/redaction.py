"""The cost of redaction compared with the search that it replaced, which is taken from the repository's history."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median

from benchmarks import table

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).parent / "scripts" / "redact_payloads.py"

# The last commit that searched payloads with handwritten regular expressions.
REPLACED = "b112d1a"

# Earlier versions break possessive quantifiers, which the search used (python/cpython#106052).
OLDEST = (3, 11, 5)

HEAD = ("64 KB of JSON", "earlier, ms", "now, ms", "now / earlier", "limit")
# Per row: the measured variant, the old variant that it is compared with, and the highest permitted ratio.
ROWS = {
    "nothing to hide, names": ("clean names", "clean names", "0.05"),
    "nothing to hide, names and values": ("clean both", "clean names", "0.05"),
    "secrets in every tenth object, names": ("secrets names", "secrets names", "0.35"),
    "secrets in every tenth object, names and values": ("secrets both", "secrets names", "0.35"),
}

Figures = dict[str, float]


def report(rounds: int) -> str:
    """Measure both in alternation, each time in fresh processes, and return the section.

    Args:
        rounds: how often.
    """
    with tempfile.TemporaryDirectory() as folder:
        if reason := replaced(Path(folder)):
            sys.stderr.write(f"redaction is not compared: {reason}\n")
            return f"### Redaction\n\nNot compared: {reason}."
        runs = [(measured("then", Path(folder)), measured("now", ROOT)) for _ in range(rounds)]
    return "\n\n".join(
        [
            "### Redaction",
            f"{table.machine()}. CPU time of a payload with `common` names, and with `common` values, too, compared "
            f"to the search of commit {REPLACED}, which searched for names only; {rounds} fresh processes of each, in "
            "turns, the least of 15 calls. Medians; of the ratios in brackets the interval that holds the true median "
            "with 95 % confidence.",
            table.render(HEAD, [_row(name, runs) for name in ROWS]),
        ]
    )


def replaced(folder: Path, commit: str = REPLACED) -> str:
    """Unpack the package of a commit into a folder; return the reason if that is not possible."""
    if sys.version_info < OLDEST:
        return "the replaced search does nothing on Python before 3.11.5"
    command = ["git", "-C", str(ROOT), "archive", "--format=zip", commit, "akto_mirror"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own arguments
    except FileNotFoundError:
        return "git is not installed"
    if done.returncode:
        return f"commit {commit} is not in this clone's history (git fetch --unshallow)"
    # Not as tar, which Python 3.11 before 3.11.4 cannot unpack safely.
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder)
    return ""


def measured(way: str, folder: Path) -> Figures:
    """Measure one variant in a fresh process, with the package in a folder."""
    command = [sys.executable, str(SCRIPT), way]
    env = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, env=env, capture_output=True, check=True, text=True)  # noqa: S603 - our own script
    figures: Figures = json.loads(done.stdout)
    return figures


def _row(name: str, runs: list[tuple[Figures, Figures]]) -> list[str]:
    now, then, most = ROWS[name]
    ratio = table.confident([after[now] / before[then] for before, after in runs], 3)
    times = [median(before[then] for before, _ in runs), median(after[now] for _, after in runs)]
    return [name, *(f"{each:.2f}" for each in times), ratio, most]
