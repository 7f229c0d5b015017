"""Small disks of several kinds, and a process that fills one to its last block."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The command that formats an image file for each kind; tmpfs needs none.
KINDS: dict[str, list[str]] = {
    "tmpfs": [],
    "ext4-1k": ["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "1024"],
    "ext4-4k": ["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096"],
}


class NotPermittedError(Exception):
    """Mounting is not permitted here; the text says why."""


@contextmanager
def mounted(kind: str, mebibytes: int = 12) -> Iterator[Path]:
    """Mount a new disk of a kind, whose root only this user may read.

    Raises:
        NotPermittedError: it is not permitted, or a program is missing.
    """
    if os.geteuid() != 0:
        raise NotPermittedError("mounting a file system takes root")
    with tempfile.TemporaryDirectory(prefix="akto-mirror-disk-") as folder:
        place = Path(folder) / "disk"
        place.mkdir()
        _mount(kind, Path(folder) / "image", place, mebibytes)
        try:
            place.chmod(0o700)
            yield place
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)


def _mount(kind: str, image: Path, place: Path, mebibytes: int) -> None:
    if kind == "tmpfs":
        return _run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(place)])
    with image.open("wb") as file:
        file.truncate(mebibytes * 1024 * 1024)
    _run([*KINDS[kind], str(image)])
    return _run(["mount", "-o", "loop", str(image), str(place)])


def _run(command: list[str]) -> None:
    program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin:/sbin")
    if program is None:
        raise NotPermittedError(f"there is no {command[0]} here")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPermittedError(f"{command[0]}: {done.stderr.strip()}")


FILL = """
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
said = False
while True:
    for size in (65536, 4096, 512, 1):
        try:
            while os.write(file, bytes(size)):
                pass
        except OSError:
            pass
    if not said:
        said = print("full", flush=True) is None
    time.sleep(0.002)
"""


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Let another process occupy a disk to its last byte, and all space that is freed, until the block ends."""
    ballast = disk / "ballast"
    filler = subprocess.Popen([sys.executable, "-c", FILL, str(ballast)], stdout=subprocess.PIPE)
    try:
        assert filler.stdout
        assert filler.stdout.readline() == b"full\n"
        yield
    finally:
        filler.kill()
        filler.communicate()
        with contextlib.suppress(FileNotFoundError):
            ballast.unlink()
