"""Delivery contract, line 9: a spool that can never be used is reported at the start, and by `check` and `doctor`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from akto_mirror import private_files
from akto_mirror.cli import program
from akto_mirror.diagnostics import checks
from akto_mirror.diagnostics.doctor import Findings, _spool
from akto_mirror.ingestion.service import Receiver
from tests.faults import disks
from tests.support import options
from tests.support.environment import bare
from tests.support.proxy import ADDON, DEADLINE, MITMDUMP, ROOT, confdir

NOBODY = 65534


@pytest.fixture(params=["below a file", "not a file system for files", "read-only", "another user's"])
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder in which no user can create a file."""
    if request.param == "below a file":
        (tmp_path / "file").touch()
        yield tmp_path / "file" / "spool"
    elif request.param == "not a file system for files":
        yield Path("/proc/akto-mirror") if Path("/proc/self").exists() else pytest.skip("there is no /proc here")
    elif request.param == "another user's":
        if os.geteuid() != 0:
            pytest.skip("only root can give folders to other users")
        (tmp_path / "spool").mkdir(mode=0o700)
        os.chown(tmp_path / "spool", NOBODY, NOBODY)
        yield tmp_path / "spool"
    else:
        try:
            with disks.mounted("tmpfs") as disk:
                subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
                yield disk / "spool"
        except disks.NotPermittedError as error:
            pytest.skip(str(error))


def start(folder: Path, durability: str, url: str) -> subprocess.CompletedProcess[str]:
    """Start mitmdump without a listener or flows: it loads the addon and ends."""
    values = {"confdir": confdir(), "akto_url": url, "akto_durability": durability, "akto_spool_dir": folder}
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return subprocess.run(
        [str(MITMDUMP), "-s", str(ADDON), "-nr", os.devnull, *settings],
        env=bare(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.e2e
def test_the_start_ends_with_one_line(unusable: Path) -> None:
    """Line 9: the line names the option, its value, the problem and the remedy."""
    done = start(unusable, "disk", "http://127.0.0.1:9")
    assert done.returncode != 0
    message = [line for line in (done.stdout + done.stderr).splitlines() if "akto_spool_dir" in line]
    assert len(message) == 1
    assert f"akto_spool_dir={unusable}" in message[0]
    assert "; name a" in message[0] or "run this as" in message[0]
    assert "Traceback" not in done.stdout + done.stderr


def test_a_spool_for_outages_needs_a_folder_too(unusable: Path) -> None:
    """Line 9: the folder is checked at the start, not when the first outage comes."""
    line = options.refused(url="http://127.0.0.1:9", durability="spill", spool_dir=str(unusable))
    assert line.startswith(f"akto_spool_dir={unusable}")


@pytest.mark.e2e
def test_memory_needs_no_folder(tmp_path: Path) -> None:
    """Line 9: if nothing is written to disk, the folder does not matter."""
    (tmp_path / "file").touch()
    assert start(tmp_path / "file" / "spool", "memory", "http://127.0.0.1:9").returncode == 0


def test_check_looks_at_it(unusable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Line 9: the step fails for an unusable folder with a remedy, whether or not Akto is reachable."""
    with Receiver() as akto:
        assert program.main(["check", akto.url, "--spool-dir", str(unusable)]) == 1
        shown = capsys.readouterr().out
        assert f"✗ spool            akto_spool_dir={unusable} cannot be used\n" in shown
        assert shown.count("→") == 1
        assert program.main(["check", akto.url, "--spool-dir", str(tmp_path / "fine" / "spool")]) == 0
        assert f"✓ spool            {tmp_path}/fine/spool\n" in capsys.readouterr().out
    assert not (tmp_path / "fine").exists()
    assert program.main(["check", "http://127.0.0.1:9", "--spool-dir", str(unusable)]) == 1
    assert "✗ spool" in capsys.readouterr().out


def test_doctor_looks_at_it(unusable: Path) -> None:
    """Line 9: `doctor` checks the folder of the configuration file and of the environment."""
    lines: list[str] = []
    found = Findings(lines.append)
    _spool(found, {"akto_spool_dir": str(unusable)}, {})
    assert not found.ok, lines
    assert "✗ spool" in "\n".join(lines)
    found = Findings(lines.append)
    _spool(found, {"akto_durability": "memory", "akto_spool_dir": str(unusable)}, {})
    assert found.ok


def test_to_try_it_out_leaves_nothing(tmp_path: Path) -> None:
    """Line 9: the check leaves no file, neither in an existing folder nor next to a missing one."""
    (tmp_path / "there").mkdir(mode=0o700)
    for folder in ("there", "not/there/yet"):
        assert private_files.usable_spool_folder(str(tmp_path / folder), {}) == tmp_path / folder
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("kind", disks.KINDS)
def test_a_full_disk_does_not_lead_to_refuse_it(kind: str) -> None:
    """Line 9: a restart on a full disk succeeds, because what is on the disk can still be sent."""
    try:
        with disks.mounted(kind) as disk:
            (disk / "spool").mkdir(mode=0o700)
            with disks.full(disk):
                assert private_files.usable_spool_folder(str(disk / "spool"), {})
                assert checks.spool_step(str(disk / "other"), {}).ok
    except disks.NotPermittedError as error:
        pytest.skip(str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_who_may_not_write() -> None:
    """Line 9: for a folder that belongs to root, an ordinary user gets a remedy that works."""
    find = "from akto_mirror.private_files import usable_spool_folder as find"
    code = f"import os; {find}; os.seteuid(65534); find('/usr/x', {{}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "files cannot be made there (Permission denied); name a folder that this user may write" in done.stderr
