"""Delivery contract, line 6: only their owner has access to folders and files with captured traffic."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from akto_mirror import private_files


def test_a_folder_that_cannot_be_looked_at_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 6: a folder that its owner cannot read is reported as a wrong value of the option."""

    def refuse(_: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    (tmp_path / "spool").mkdir(mode=0o711)
    with pytest.raises(ValueError, match=r"cannot be listed \(Permission denied\)"):
        private_files.check_folder(tmp_path / "spool")


@pytest.mark.parametrize("problem", ["symbolic link", "not a folder", "another user", "chmod 700"])
def test_an_unfit_folder_is_found_before_it_is_used(tmp_path: Path, problem: str) -> None:
    """Line 6: the folder is checked when the option is set, and the message names the problem."""
    folder = tmp_path / "spool"
    if problem == "symbolic link":
        folder.symlink_to(tmp_path)
    elif problem == "not a folder":
        folder.touch()
    else:
        folder.mkdir(mode=0o755)
        (folder / "other").touch()
    if problem == "another user":
        if os.geteuid() != 0:
            pytest.skip("only root can give files to other users")
        os.chown(folder, 12345, 12345)
    with pytest.raises(ValueError, match=problem):
        private_files.check_folder(folder)
