"""The file sink writes private files, and is not blocked by a pipe or a lock."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from akto_mirror.delivery.sinks.file import FileSink
from akto_mirror.delivery.sinks.symptoms import Cause
from tests.faults.driver import Clock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes of POSIX")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """A new file is private, because it has captured traffic; an existing file keeps its mode."""
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
    """Writing to a pipe is an error at once, with and without a reader."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) if read else None
    result = FileSink(str(pipe)).send([b"x" * 1_000_000], 1)
    assert result.status is None
    assert result.detail.startswith(f"cannot write {pipe}: ")
    if reader is not None:
        os.close(reader)


def test_no_link_is_followed_where_others_can_make_one(tmp_path: Path) -> None:
    """A symbolic link is followed, but not in a folder that all users can write to: there it may be an attack."""
    victim, link = tmp_path / "victim", tmp_path / "shared" / "out.ndjson"
    link.parent.mkdir()
    link.symlink_to(victim)
    link.parent.chmod(0o1777)
    assert FileSink(str(link)).send([b"{}"], 1).status is None
    assert not victim.exists()
    link.parent.chmod(0o755)
    assert FileSink(str(link)).send([b"{}"], 1).status == 200
    assert victim.read_bytes() == b"{}\n"


def test_a_file_that_cannot_be_written_has_a_remedy(tmp_path: Path) -> None:
    """The error names the file, and the remedy is about files."""
    result = FileSink(str(tmp_path / "gone" / "out.ndjson")).send([b"{}"], 1)
    assert result.detail == f"cannot write {tmp_path}/gone/out.ndjson: No such file or directory"
    assert result.why is Cause.UNWRITABLE
    assert "name another file in akto_url" in result.explained


def test_a_torn_line_is_ended_first(tmp_path: Path) -> None:
    """A torn last line, as after a crash, is ended before the next entry."""
    out = tmp_path / "out.ndjson"
    out.write_bytes(b'{"whole":1}\n{"torn":')
    assert FileSink(str(out)).send([b"{}"], 1).status == 200
    assert FileSink(str(out)).send([b"{}"], 1).status == 200
    assert out.read_bytes() == b'{"whole":1}\n{"torn":\n{}\n{}\n'


def test_a_file_that_may_only_be_written_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be read is still written, without checking its last line."""
    out, real = tmp_path / "out.ndjson", os.open

    def refuse_to_read(path: str, flags: int, mode: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr("os.open", refuse_to_read)
    assert FileSink(str(out)).send([b"1"], 1).status == FileSink(str(out)).send([b"2"], 1).status == 200
    assert out.read_bytes() == b"1\n2\n"


@pytest.mark.parametrize("locks", [True, False])
def test_what_another_process_wrote_outlives_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    """After a failed write, only the sink's own part is removed, not what another program appended meanwhile."""
    out, real, others = tmp_path / "out.ndjson", os.write, list[int | None]()
    out.write_bytes(b"old\n")

    def fill_up(file: int, data: bytes) -> int:
        monkeypatch.setattr("os.write", no_room)
        return real(file, data[:3])

    def no_room(_file: int, _data: bytes) -> NoReturn:
        monkeypatch.setattr("os.write", real)
        if locks:
            others.append(FileSink(str(out), Ticking().time).send([b"other"], 1).status)
        else:
            with out.open("ab") as other:
                other.write(b"other\n")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.write", fill_up)
    assert FileSink(str(out)).send([b"batch"], 1).detail.endswith("No space left on device")
    assert others == [None] * locks
    assert FileSink(str(out)).send([b"batch"], 1).status == 200
    assert out.read_bytes() == (b"old\nbatch\n" if locks else b"old\nbatother\nbatch\n")


class Ticking(Clock):
    """A clock that advances with each reading."""

    def time(self) -> float:
        """Return the time in seconds."""
        self.now += 1
        return self.now


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock as another process would."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_the_wait_for_another_process_ends(tmp_path: Path) -> None:
    """Waiting for a lock ends with an error after the time-out or at exit; nothing is written by then."""
    out = tmp_path / "out.ndjson"
    patient = FileSink(str(out), lambda: 0.0)
    hurried = FileSink(str(out), lambda: hurried.abort() or 0.0)  # type: ignore[func-returns-value]
    with locked(out):
        for sink in (FileSink(str(out), Ticking().time), hurried):
            assert sink.send([b"{}"], 3).detail == f"cannot write {out}: another process keeps it locked"
    assert out.read_bytes() == b""
    assert patient.send([b"{}"], 3).status == 200


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without locks, the file is written without one."""

    def no_locks(_file: int, _how: int) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert FileSink(str(tmp_path / "out")).send([b"{}"], 1).status == 200
