"""Delivery contract, lines 6 and 9: the spool's file is private, and may be damaged in any way."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool.errors import SpoolError
from akto_mirror.outcomes import Rejected
from tests.faults.driver import Driver, ok
from tests.support.spools import BATCH, FILE, spool

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    """Line 6: the folder has mode 0700 and its files 0600 while the spool is open, with any umask."""
    before = os.umask(0)
    try:
        mine = spool(tmp_path)
        mine.put(BATCH)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    assert set(modes) == {FILE, f"{FILE}-journal", ".lock"}
    assert set(modes.values()) == {0o600}


def test_a_folder_of_ours_is_closed_to_others(tmp_path: Path) -> None:
    """Line 6: an empty folder, or one with a spool, gets mode 0700."""
    (tmp_path / "spool").mkdir(mode=0o755)
    spool(tmp_path).put(BATCH)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


def test_a_shared_folder_is_refused(tmp_path: Path) -> None:
    """Line 6: a folder that others can read and that has other files is refused, and not changed."""
    (tmp_path / "spool").mkdir(mode=0o755)
    (tmp_path / "spool" / "other").touch()
    with pytest.raises(SpoolError, match="chmod 700"):
        spool(tmp_path).put(BATCH)
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["other"]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """Line 6: neither folder nor file may be a symbolic link, and the link's target is not changed."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "spool").symlink_to(tmp_path / "real")
    with pytest.raises(SpoolError, match="symbolic link"):
        spool(tmp_path).put(BATCH)
    (tmp_path / "spool").unlink()
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "spool" / FILE).symlink_to(tmp_path / "victim")
    with pytest.raises(SpoolError, match="not a regular file"):
        spool(tmp_path).put(BATCH)
    assert not (tmp_path / "victim").exists()
    assert list((tmp_path / "real").iterdir()) == []


@needs_root
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    """Line 6: a folder or file of another user is refused."""
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(SpoolError, match="another user"):
        spool(tmp_path).put(BATCH)
    os.chown(folder, 0, 0)
    (folder / FILE).touch(0o600)
    os.chown(folder / FILE, 12345, 12345)
    with pytest.raises(SpoolError, match="another user"):
        spool(tmp_path).put(BATCH)


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """Leave the file of a process that has ended, with thirty batches and three dead letters, and return its path."""
    mine = spool(folder)
    for number in range(30):
        mine.put([b"%d-%d" % (number, part) + b"x" * 400 for part in range(5)])
    mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH])
    mine.release()
    yield mine.file


def survives(folder: Path) -> None:
    """Check that a process works with the folder: it raises no error, counts, delivers and deletes nothing."""
    driver = Driver(folder / "spool", Durability.DISK)
    driver.offer(b"new")
    driver.run(ok)
    assert driver.counts.missing == 0
    assert driver.counts.pending == 0
    assert [b"new"] in driver.requests
    sent = [entry for request in driver.requests for entry in request]
    assert all(entry == b"new" or entry.endswith(b"x" * 400) for entry in sent), "damaged entries were sent"
    driver.close()
    kept = [path for path in (folder / "spool").iterdir() if path.suffix == ".db"]
    assert len(kept) == 2 or driver.counts.recovered or driver.spool.dead_letters()  # type: ignore[union-attr]


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_any_byte_flipped(tmp_path_factory: pytest.TempPathFactory, where: float, value: int) -> None:
    """Line 9: with any byte changed, delivery goes on, and the file is used or set aside, not deleted."""
    folder = tmp_path_factory.mktemp("flip")
    with filled(folder) as file:
        data = bytearray(file.read_bytes())
        data[int(where * len(data))] ^= value
        file.write_bytes(data)
    survives(folder)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, 100), value=st.integers(1, 255))
def test_any_byte_of_the_header_flipped(tmp_path_factory: pytest.TempPathFactory, offset: int, value: int) -> None:
    """Line 9: the same holds for the header of 100 bytes, on which all else depends."""
    folder = tmp_path_factory.mktemp("head")
    with filled(folder) as file:
        data = bytearray(file.read_bytes())
        data[offset] ^= value
        file.write_bytes(data)
    survives(folder)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0.0001, 1))
def test_truncated_anywhere(tmp_path_factory: pytest.TempPathFactory, where: float) -> None:
    """Line 9: the same holds for a truncated file."""
    folder = tmp_path_factory.mktemp("cut")
    with filled(folder) as file:
        os.truncate(file, int(where * file.stat().st_size))
    survives(folder)


def test_no_database_at_all(tmp_path: Path) -> None:
    """Line 9: a file that is not a database is set aside unchanged."""
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "spool" / "spool.db").write_bytes(b"my diary" * 1000)
    survives(tmp_path)
    aside = [path for path in (tmp_path / "spool").iterdir() if path.name.startswith("damaged-")]
    assert [path.read_bytes() for path in aside if path.suffix == ".db"] == [b"my diary" * 1000]
