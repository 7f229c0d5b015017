"""`akto-mirror doctor` collects what a bug report needs, finds errors, and shows no secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from mitmproxy import version

import akto_mirror
from akto_mirror.ingestion.service import Receiver
from tests.support.environment import bare
from tests.support.proxy import DEADLINE, MITMDUMP

pytestmark = pytest.mark.e2e

SECRET = "hunter2"


class Report(NamedTuple):
    """The result of a run of `doctor`, which wrote nothing to standard error."""

    code: int
    text: str


def doctor(
    home: Path, *arguments: str, config: str = "", prelude: str = "", env: dict[str, str] | None = None
) -> Report:
    """Run `doctor` for a user with this home and this config.yaml; its Python runs `prelude` first."""
    (home / ".mitmproxy").mkdir()
    (home / ".mitmproxy" / "config.yaml").write_text(config)
    (home / "sitecustomize.py").write_text(prelude)
    path = f"{MITMDUMP.parent}{os.pathsep}{os.environ['PATH']}"
    known = {"HOME": str(home), "PYTHONPATH": str(home), "PATH": path, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "akto_mirror", "doctor", *arguments],
        env=bare() | known | (env or {}),
        capture_output=True,
        encoding="utf-8",
        timeout=2 * DEADLINE,
        check=False,
    )
    assert done.stderr == ""
    return Report(done.returncode, done.stdout)


def test_all_is_well(tmp_path: Path) -> None:
    """The report has versions, options and their sources, a mitmdump that loads the addon, and the steps of `check`."""
    with Receiver(token=SECRET) as akto:
        env = {"AKTO_API_TOKEN": SECRET, "AKTO_DATA_INGESTION_URL": akto.url}
        report = doctor(tmp_path, config="akto_body_limit: 1000\nmode: [regular]\n", env=env)
    assert report.code == 0, report.text
    assert f"akto-mirror {akto_mirror.__version__} in {Path(akto_mirror.__file__).parent}\n" in report.text
    assert re.search(rf"✓ mitmproxy +{re.escape(version.VERSION)}$", report.text, re.MULTILINE)
    assert re.search(r"Python +3\.\d+\.\d+ at ", report.text)
    assert re.search(r"AKTO_API_TOKEN +set$", report.text, re.MULTILINE)
    assert re.search(r"akto_body_limit +1000$", report.text, re.MULTILINE)
    assert re.search(r"✓ options +1 in the file, all usable$", report.text, re.MULTILINE)
    assert f"✓ addon loads              in {MITMDUMP}" in report.text
    assert re.search(r"✓ /api/auth-check .*the token is accepted", report.text)
    assert "✗" not in report.text
    assert SECRET not in report.text


def test_divided_bounds_are_shown(tmp_path: Path) -> None:
    """The report shows each process's share of the bounds in the file."""
    report = doctor(tmp_path, "--processes", "4", config="akto_max_entries_s: 10\nakto_queue_bytes: 40000000\n")
    assert "each process of `akto-mirror run --processes 4`" in report.text
    assert re.search(r"akto_queue_bytes +10,000,000 of 40,000,000$", report.text, re.MULTILINE)
    assert re.search(r"akto_max_entries_s +2 of 10$", report.text, re.MULTILINE)
    assert re.search(r"akto_max_bytes_s +no limit$", report.text, re.MULTILINE)
    assert re.search(r"akto_spool_bytes +1,073,741,824, shared by all$", report.text, re.MULTILINE)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Hidden are a token in the file, a password or query in an address, and the value of a misspelt option."""
    config = f"akto_token: {SECRET}\nakto_tokn: {SECRET}\nakto_url: http://user:{SECRET}@127.0.0.1:9/x?key={SECRET}\n"
    report = doctor(tmp_path, config=config)
    assert report.code == 1
    assert SECRET not in report.text
    assert re.search(r"akto_token +set$", report.text, re.MULTILINE)


def test_a_missing_dependency_is_found(tmp_path: Path) -> None:
    """A missing dependency, here or in mitmdump, is reported with the command that installs it, without a traceback."""
    report = doctor(tmp_path, prelude="import sys; sys.modules['httpx'] = None")
    assert report.code == 1
    assert re.search(r"✗ addon loads +no: .*the Python package httpx is missing", report.text)
    assert "-m pip install" in report.text


def test_another_mitmdump_on_the_path_is_found(tmp_path: Path) -> None:
    """Another mitmdump, such as the standalone binary, would not load the addon."""
    folder = tmp_path / "bin"
    folder.mkdir()
    other = folder / "mitmdump"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    report = doctor(tmp_path, env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
    assert report.code == 1
    assert f"{other} belongs to another installation" in report.text
    assert f"start {MITMDUMP} instead" in report.text


def test_the_way_to_akto_is_checked(tmp_path: Path) -> None:
    """An address on the command line takes precedence over the configured one."""
    with Receiver() as akto:
        report = doctor(tmp_path, "--to", akto.url, config="akto_url: http://127.0.0.1:9\n")
    assert report.code == 0, report.text
    assert "✓ /healthCheck" in report.text
