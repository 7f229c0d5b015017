"""Creates and checks folders and files that no other user may read."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

OTHERS = stat.S_IRWXG | stat.S_IRWXO

# Windows has no such owners and mode bits.
HAS_OWNERS = hasattr(os, "geteuid")

# The spool's files, whose presence shows that a folder is already used as a spool.
FILES = "spool*.db"


def default_folder(environ: Mapping[str, str]) -> Path:
    """Return this program's folder in the user's state directory (XDG Base Directory Specification).

    Raises:
        ValueError: the user has no home directory.
    """
    given = Path(environ.get("XDG_STATE_HOME") or "")
    if given.is_absolute():
        return given / "akto-mirror"
    try:
        return Path.home() / ".local" / "state" / "akto-mirror"
    except RuntimeError as error:
        raise ValueError("this user has no home directory; name a folder, or set XDG_STATE_HOME") from error


def spool_folder(folder: str, environ: Mapping[str, str]) -> Path:
    """Return the spool's folder, the default one if `folder` is empty.

    Raises:
        ValueError: it cannot be used; the text says why.
    """
    given = _at_home(folder) if folder else default_folder(environ)
    if not given.is_absolute():
        raise ValueError("write an absolute path")
    check_folder(given)
    return given


def usable_spool_folder(folder: str, environ: Mapping[str, str]) -> Path:
    """Return the spool's folder as `spool_folder` does, after checking that files can be created in it.

    A full disk is accepted, because entries on it can still be sent.

    Raises:
        ValueError: it cannot be used or written to; the text says why.
    """
    given = spool_folder(folder, environ)
    try:
        _try_out(given)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise ValueError(
                f"files cannot be made there ({error.strerror}); name a folder that this user may write, or set"
                " akto_durability=memory"
            ) from error
    return given


def _try_out(folder: Path) -> None:
    """Create and remove a file in the folder or, if it does not exist, a folder in its nearest existing parent."""
    for file in folder.glob(FILES):
        check_file(file)
        if not os.access(file, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, f"{file.name} may not be written")
    if folder.exists():
        with tempfile.TemporaryFile(dir=folder) as tried:
            _try_lock(tried.fileno())
        return
    nearest = next(parent for parent in folder.parents if parent.exists())
    Path(tempfile.mkdtemp(prefix=".akto-mirror-", dir=nearest)).rmdir()


def _try_lock(file: int) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _at_home(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise ValueError("there is no such user; write an absolute path") from error


def check_folder(folder: Path) -> None:
    """Check that a folder, if it exists, is safe for captured traffic; nothing is changed.

    Args:
        folder: an absolute path.

    Raises:
        ValueError: it is not; the text says why and what to do.
    """
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ValueError(f"it cannot be used ({error.strerror}); name another folder") from error
    if stat.S_ISLNK(found.st_mode):
        raise ValueError("it is a symbolic link; name the folder itself")
    if not stat.S_ISDIR(found.st_mode):
        raise ValueError("it is not a folder; name another one")
    if HAS_OWNERS and found.st_uid != os.geteuid():
        owner = _user(found.st_uid)
        raise ValueError(
            f"it belongs to another user; run this as the user that owns it ({owner}), or name a folder of your own"
        )
    if HAS_OWNERS and found.st_mode & OTHERS and not _is_free(folder):
        raise ValueError("other users can read it, and it holds other files; name an empty folder, or chmod 700 it")


def _user(number: int) -> str:
    import pwd  # noqa: PLC0415 - Windows has none, and no owners like these

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _is_free(folder: Path) -> bool:
    try:
        return not any(folder.iterdir()) or any(path.is_file() for path in folder.glob(FILES))
    except OSError as error:
        raise ValueError(
            f"its files cannot be listed ({error.strerror}); name another folder, or chmod 700 it"
        ) from error


def make_folder(folder: Path) -> None:
    """Create the folder with mode 0700, or check the existing one and remove other users' rights.

    Raises:
        ValueError: see `check_folder`.
        OSError: it cannot be created.
    """
    check_folder(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_folder(folder)
    _close_to_others(folder, 0o700)


def check_file(file: Path) -> None:
    """Check that a file, if it exists, is safe for captured traffic; nothing is changed.

    Raises:
        ValueError: it is a symbolic link, no file or another user's.
        OSError: it cannot be accessed.
    """
    try:
        found = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{file} is not a regular file; remove it")
    if HAS_OWNERS and found.st_uid != os.geteuid():
        raise ValueError(f"{file} belongs to another user; remove it")


def make_file(file: Path) -> None:
    """Create the file with mode 0600, or check the existing one.

    Raises:
        ValueError: it is a symbolic link, no file or another user's.
        OSError: it cannot be created.
    """
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600))
    except FileExistsError:
        check_file(file)
        _close_to_others(file, 0o600)


def _close_to_others(path: Path, mode: int) -> None:
    """Remove other users' rights; a file system without modes refuses that, which is ignored."""
    if HAS_OWNERS and path.stat().st_mode & OTHERS:
        with contextlib.suppress(PermissionError):
            path.chmod(mode)


def open_to_append(path: str) -> int:
    """Open a file given by the user for appending; a new one gets mode 0600, an existing one keeps its mode.

    It is also opened for reading, if its mode allows that. In a world-writable folder no symbolic link is followed. A
    pipe without a reader does not block.

    Raises:
        OSError: it cannot be opened.
    """
    flags = os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    if Path(path).absolute().parent.stat().st_mode & stat.S_IWOTH:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags | os.O_RDWR, 0o600)
    except PermissionError:
        return os.open(path, flags | os.O_WRONLY, 0o600)


def ends_a_line(file: int) -> bool:
    """Return whether an open file ends with a complete line, not cut off by a crash; True if it cannot be read."""
    try:
        size = os.fstat(file).st_size
        if not size:
            return True
        os.lseek(file, size - 1, os.SEEK_SET)
        return os.read(file, 1) in (b"\n", b"")
    except OSError:
        return True
