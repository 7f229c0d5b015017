"""A stock Debian in a folder, made by debootstrap, and commands that run in it as an ordinary user."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fresh import registries

SUITE = "bookworm"
PACKAGES = ("python3", "python3-pip", "python3-venv", "make", "git", "ca-certificates")
PUBLIC_MIRROR = "http://deb.debian.org/debian"
MIRROR_VARIABLE = "DEBIAN_MIRROR"
TOOLS = ("debootstrap", "unshare", "chroot", "mount", "git")
USER = "somebody"
HOME = f"/home/{USER}"
REACH_SECONDS = 20
BUILD_SECONDS = 900

# Namespaces for mounts and processes, which end with the shell: it stays their first process, and runs as root, because
# a process that changes its user outlives its parent. Everything that a user may write is in the run's folder.
ENTER = """
mount -t proc proc "$TREE/proc"
mount --rbind /dev "$TREE/dev"
mount --bind "$RUN/home" "$TREE$1"
mount --bind "$RUN/tmp" "$TREE/tmp"
shift
chroot "$@"
exit $?
"""


class UnavailableError(Exception):
    """A Debian cannot be made on this machine; the text says what is missing."""


@dataclass(frozen=True)
class Done:
    """A command that has ended.

    Attributes:
        code: its exit code; -1 if it took too long.
        output: its output, including standard error.
        seconds: how long it took.
    """

    code: int
    output: str
    seconds: float


@dataclass(frozen=True)
class Debian:
    """A tree of Debian, and the folder of one run with a new home and a new /tmp."""

    tree: Path
    run: Path
    settings: dict[str, str]

    @classmethod
    def prepare(cls, tree: Path, run: Path) -> Debian:
        """Copy the files for registries and name resolution into the tree, and create the run's folders."""
        settings = registries.variables(os.environ, _pip_configuration())
        for file in [*registries.files(settings), Path("/etc/resolv.conf"), Path("/etc/hosts")]:
            if file.is_file():
                copy = tree / file.relative_to("/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
        for name in ("home", "tmp"):
            (run / name).mkdir(mode=0o755)
        (run / "tmp").chmod(0o1777)
        return cls(tree, run, settings)

    def emptied(self) -> Debian:
        """Return the same Debian with another home, which has only a clone."""
        run = Path(tempfile.mkdtemp(dir=self.run))
        run.chmod(0o755)
        return Debian.prepare(self.tree, run)

    def copied(self, tree: Path) -> Debian:
        """Return the same Debian with a copy of its tree, which root may change."""
        copy = self.run / "tree"
        subprocess.run(["cp", "-a", str(tree), str(copy)], check=True)
        return Debian(copy, self.run, self.settings)

    def clone(self, repository: Path) -> None:
        """Clone the committed state into the user's home, as `akto-mirror`."""
        target = self.run / "home" / "akto-mirror"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(repository), str(target)], check=True)
        owner = (self.tree / HOME.lstrip("/")).stat()
        for path in [self.run / "home", *(self.run / "home").rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def execute(self, command: str, seconds: float, *, user: str = USER) -> Done:
        """Run a shell command in the clone, with an empty environment.

        Args:
            command: the command line.
            seconds: the time limit.
            user: the user who runs it.
        """
        home = HOME if user == USER else "/root"
        path = f"{home}/.local/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # As in Debian's ~/.profile.
        given = {"PATH": path, "HOME": home} | self.settings
        line = f"cd {HOME}/akto-mirror && {command}"
        inside = [f"--userspec={user}:{user}", str(self.tree), "sh", "-c", line]
        outside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "enter", HOME, *inside]
        env = given | {"TREE": str(self.tree), "RUN": str(self.run)}
        return _run(outside, env, seconds)


def _run(command: Sequence[str], env: Mapping[str, str], seconds: float) -> Done:
    start = time.monotonic()
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
            code = process.returncode
        except BaseException as error:
            process.kill()
            output, _ = process.communicate()  # The pipe closes when all processes inside have ended.
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            code = -1
    return Done(code, output, time.monotonic() - start)


def tree(say: Callable[[str], None], more: Sequence[str] = ()) -> Path:
    """Return a tree of Debian with the packages, built once and kept in the user's cache.

    Raises:
        UnavailableError: the tree cannot be built here.
    """
    check_machine()
    packages = sorted({*PACKAGES, *more})
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "akto-mirror")
    folder = cache / f"{SUITE}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"
    if not folder.exists():
        source = find_mirror()
        say(f"building Debian {SUITE} from {source} in {folder}: one to three minutes, once")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as building:
            _build(Path(building, "tree"), packages, source)
            Path(building, "tree").rename(folder)
    return folder


def check_machine() -> None:
    """Check that this machine can make a Debian.

    Raises:
        UnavailableError: this machine cannot.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UnavailableError("it needs root on Linux, to build a Debian in a folder and to enter it")
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} is not installed (Debian: apt-get install debootstrap git)")
    done = _run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "true"], dict(os.environ), REACH_SECONDS)
    if done.code:
        raise UnavailableError(f"no namespace of its own can be made here: {done.output.strip()}")


def find_mirror() -> str:
    """Return the mirror to build from: the variable's, this machine's from apt, or Debian's public one.

    Raises:
        UnavailableError: the mirror does not answer.
    """
    apt = Path("/etc/apt")
    names = ("sources.list", "sources.list.d/*.sources", "sources.list.d/*.list")
    sources = [path for name in names for path in sorted(apt.glob(name))]
    texts = [path.read_text() for path in sources if path.is_file()]
    found = os.environ.get(MIRROR_VARIABLE) or registries.mirror(texts, SUITE) or PUBLIC_MIRROR
    address = f"{found.rstrip('/')}/dists/{SUITE}/Release"
    try:
        with urllib.request.urlopen(address, timeout=REACH_SECONDS):
            return found
    except OSError as error:
        raise UnavailableError(f"{address} cannot be read ({error}); name a mirror in {MIRROR_VARIABLE}") from error


def _build(folder: Path, packages: Sequence[str], source: str) -> None:
    options = ["--variant=minbase", f"--include={','.join(packages)}"]
    done = _run(["debootstrap", *options, SUITE, str(folder), source], dict(os.environ), BUILD_SECONDS)
    if done.code:
        raise UnavailableError(f"debootstrap failed:\n{tail(done.output)}")
    for command in (["useradd", "--create-home", "--shell", "/bin/sh", USER], ["apt-get", "clean"]):
        subprocess.run(["chroot", str(folder), *command], check=True)


def tail(output: str, lines: int = 300) -> str:
    """Return the last lines of an output, indented."""
    return "\n".join(f"    {line}" for line in output.splitlines()[-lines:])


def _pip_configuration() -> str:
    command = [sys.executable, "-m", "pip", "config", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
