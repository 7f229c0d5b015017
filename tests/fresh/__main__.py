"""Runs parts of `make fresh`: `python -m tests.fresh demo unit`. Exit code 0: passed; 1: failed; 3: skipped."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.fresh import installs
from tests.fresh.debian import USER, Debian, Done, UnavailableError, tail, tree

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = 3
COMPLAINTS = re.compile(r"(?im)^.*\b(?:warning|deprecat\w*|traceback)\b.*$")
UNIT = ".venv/3.11/bin/python -m pytest -n 2 -m 'not slow and not long' tests/unit"


class FailedError(Exception):
    """A command failed; the text says how, with the end of its output."""


def say(line: str) -> None:
    """Print one line, unbuffered."""
    print(line, flush=True)  # noqa: T201 - this is a program


def step(debian: Debian, command: str, seconds: float, *, user: str = USER, quiet: bool = False) -> Done:
    """Run a command, and print how long it took.

    Raises:
        FailedError: it took too long, its exit code is not 0, or it should be `quiet` and its output has a warning.
    """
    say(f"$ {command}    (at most {seconds:.0f} s)")
    done = debian.execute(command, seconds, user=user)
    if done.code:
        reason = "took too long" if done.code < 0 else f"ended with exit code {done.code}"
        raise FailedError(f"{command} {reason} after {done.seconds:.0f} s:\n{tail(done.output)}")
    if quiet and (found := COMPLAINTS.findall(done.output)):
        raise FailedError(f"{command} complains: {found}")
    say(f"  {done.seconds:.1f} s")
    return done


def demo(debian: Debian) -> None:
    """Run `make demo`, from the clone to its table, within two minutes and without a warning."""
    done = step(debian, "make demo", 120, quiet=True)
    if "entries arrived" not in done.output or "/api/orders" not in done.output:
        raise FailedError(f"make demo shows no table:\n{tail(done.output)}")
    if "pytest" in step(debian, ".venv/3.11/bin/pip --disable-pip-version-check list", 60).output:
        raise FailedError("make demo has installed tools of the tests")


def install(debian: Debian) -> None:
    """Install what `make test` needs, within three minutes."""
    step(debian, "make install", 180)


def unit(debian: Debian) -> None:
    """Run the fast unit tests."""
    install(debian)
    say(step(debian, UNIT, 600).output.splitlines()[-1])


def suite(debian: Debian) -> None:
    """Run `make test`, as in the README."""
    install(debian)
    say(step(debian, "make test WORKERS=2", 1800).output.splitlines()[-1])


def ways(debian: Debian) -> None:
    """Install in each way of the README, and run the systemd unit."""
    whole = debian.copied(tree(say, installs.PACKAGES))
    installs.each(step, whole, ROOT)
    installs.service(step, whole, ROOT)


PARTS: Mapping[str, Callable[[Debian], None]] = {"demo": demo, "unit": unit, "suite": suite, "installs": ways}


def main() -> int:
    """Run the given parts, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fresh", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"{', '.join(PARTS)} (default: all but unit)"
    )
    parts = parser.parse_args().parts or ["demo", "suite", "installs"]
    try:
        with tempfile.TemporaryDirectory(prefix="akto-mirror-fresh-") as folder:
            debian = Debian.prepare(tree(say), Path(folder))
            debian.clone(ROOT)
            for name in parts:
                PARTS[name](debian)
    except UnavailableError as error:
        say(f"skipped: {error}")
        return SKIPPED
    except FailedError as error:
        say(f"failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
