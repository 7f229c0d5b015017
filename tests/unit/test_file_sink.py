"""The file sink keeps what it writes to itself, and nothing that lies where the file should be stops it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from akto_mirror import retry
from akto_mirror.sinks.file import FileSink

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes of POSIX")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set what the system takes from the modes of new files."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """Captured traffic is for its owner; a file that was made for others keeps its mode."""
    out = tmp_path / "out.ndjson"
    with umask(0):
        assert FileSink(str(out)).send([b"{}"], 1).status == 200
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    out.chmod(0o640)
    assert FileSink(str(out)).send([b"{}"], 1).status == 200
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert out.read_bytes() == b"{}\n{}\n"


@pytest.mark.parametrize("read", [False, True])
def test_a_pipe_does_not_block(tmp_path: Path, read: bool) -> None:
    """Nobody who reads a pipe, or does not, can stop the sending: it is a fault, at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) if read else None
    result = FileSink(str(pipe)).send([b"x" * 1_000_000], 1)
    assert result.status is None
    assert result.detail.startswith(f"cannot write {pipe}: ")
    if reader is not None:
        os.close(reader)


def test_no_link_is_followed_where_others_can_make_one(tmp_path: Path) -> None:
    """In a folder that is open to all a symbolic link may be another user's trap; elsewhere it is the owner's."""
    victim, link = tmp_path / "victim", tmp_path / "shared" / "out.ndjson"
    link.parent.mkdir()
    link.symlink_to(victim)
    link.parent.chmod(0o1777)
    assert FileSink(str(link)).send([b"{}"], 1).status is None
    assert not victim.exists()
    link.parent.chmod(0o755)
    assert FileSink(str(link)).send([b"{}"], 1).status == 200
    assert victim.read_bytes() == b"{}\n"


def test_what_cannot_be_written_is_told_with_what_helps(tmp_path: Path) -> None:
    """The fault names the file, and the hint is about a file, not about the way to a server."""
    result = FileSink(str(tmp_path / "gone" / "out.ndjson")).send([b"{}"], 1)
    assert result.detail == f"cannot write {tmp_path}/gone/out.ndjson: No such file or directory"
    assert "akto-mirror check" not in retry.network_hint(result.detail)
    assert "name another file in akto_url" in retry.network_hint(result.detail)
