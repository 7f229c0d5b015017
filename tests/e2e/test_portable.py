"""Nothing requires features that only Unix has: the commands run with those names hidden, as on another system."""

from __future__ import annotations

import ast
import errno
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import akto_mirror
from akto_mirror import private_files
from akto_mirror.config import option_values
from akto_mirror.ingestion.service import Receiver
from tests.support import stubs
from tests.support.environment import bare
from tests.support.mirror import Mirror
from tests.support.mitmweb import running_mitmweb
from tests.support.proxy import DEADLINE, ROOT, RUN, confdir, running

FLOWS = ROOT / "tests" / "data" / "flows.mitm"
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.glob("akto_mirror/**/*.py"))

# Names that Windows or macOS lacks. Others cannot be hidden: the standard library or a dependency needs them here.
NO_MODULES = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "syslog")
NO_NAMES = {
    "os": (
        *("geteuid", "getuid", "getegid", "getgid", "getgroups", "fchmod", "chown", "fchown", "lchown", "statvfs"),
        *("fstatvfs", "ST_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "killpg", "getpgid"),
        *("setsid", "sched_getaffinity", "pread", "pwrite", "fdatasync", "mkfifo", "uname", "initgroups"),
        "posix_fallocate",
    ),
    "socket": ("AF_UNIX", "SO_REUSEPORT", "send_fds", "recv_fds"),
    "signal": ("SIGHUP", "SIGPIPE", "SIGALRM", "pthread_sigmask", "setitimer"),
}

# Runs first in each process. File modes behave as on a file system without them.
HIDE = f"""
import os, sys

for kind in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
    kind.clear()

import asyncio, signal, socket

pair, unix = socket.socketpair, socket.AF_UNIX
socket.socketpair = lambda *_: pair(unix)  # Elsewhere it does without.
for name in {NO_MODULES}:
    sys.modules[name] = None
for module, names in {NO_NAMES}.items():
    for name in names:
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)

def add_signal_handler(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = add_signal_handler
os.umask(0)
os.chmod = lambda *_, **__: None
make = os.mkdir
os.mkdir = lambda path, mode=0o777, **more: make(path, 0o777, **more)
print("hidden", file=sys.stderr, flush=True)
"""

# Names that mitmproxy and the standard library need here to start or kill a process; hidden only during imports.
NEEDED = ("SIGKILL", "SIGUSR1", "SIGUSR2")


@pytest.fixture
def hidden(tmp_path: Path) -> dict[str, str]:
    """The environment that hides the names from a process and its children."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDE)
    return bare() | {"PYTHONPATH": str(folder), "XDG_STATE_HOME": str(tmp_path / "state")}


def run(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python; it must end with exit code 0."""
    whole = [sys.executable, *command]
    done = subprocess.run(whole, env=env, capture_output=True, text=True, timeout=2 * DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hidden" in done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_every_module_is_imported(hidden: dict[str, str]) -> None:
    """The whole package and the script can be imported."""
    names = [name for name in MODULES if not name.endswith("__main__")]
    assert len(names) > 50
    hide = f"import importlib, signal\nfor name in {NEEDED}: delattr(signal, name)\n"
    run(hidden, "-c", f"{hide}for name in {[*names, 'akto_addon']}: importlib.import_module(name)")


@pytest.mark.e2e
def test_the_demo_runs(hidden: dict[str, str]) -> None:
    """The demo runs, with the names hidden from its mitmdump too."""
    assert "entries arrived" in run(hidden, "-m", "akto_mirror", "demo").stdout


@pytest.mark.e2e
def test_a_replay_runs(hidden: dict[str, str], tmp_path: Path) -> None:
    """A replay ships to a service and to a file, and resumes from its checkpoint."""
    out = tmp_path / "out.ndjson"
    with Receiver() as akto:
        ways = [["--to", akto.url, "--resume"], ["--to", out.as_uri()]]
        code = "from akto_mirror.cli import main\n" + "".join(
            f"assert main({['replay', str(FLOWS), *way]}) == 0\n" for way in ways * 2
        )
        run(hidden, "-c", code)
        assert len(out.read_text().splitlines()) >= len(akto.entries) > 0


@pytest.mark.e2e
def test_the_sink_runs(hidden: dict[str, str], tmp_path: Path) -> None:
    """The sink accepts entries, appends them to a file, and ends on a signal that every system has."""
    out = tmp_path / "out.ndjson"
    command = [sys.executable, "-m", "akto_mirror", "sink", "--port", "0", "--out", str(out)]
    with subprocess.Popen(command, env=hidden, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sink:
        assert sink.stdout
        url = sink.stdout.readline().split(";")[0].removeprefix("listening on ")
        try:
            batch = {"batchData": akto_mirror.entries(FLOWS)}
            httpx.post(f"{url}/api/ingestData", json=batch).raise_for_status()
            sink.send_signal(signal.SIGINT)
            _, err = sink.communicate(timeout=DEADLINE)
        finally:
            sink.kill()
    assert (sink.returncode, err) == (0, "hidden\n")
    assert all(json.loads(line)["path"] for line in out.read_text().splitlines())
    assert out.stat().st_size > 0


@pytest.mark.e2e
def test_mitmweb_mirrors(hidden: dict[str, str], api: str) -> None:
    """With the spool, mitmweb mirrors."""
    with Receiver() as akto:
        options = {"akto_url": akto.url, "akto_linger_ms": "10", "akto_durability": "disk"}
        with running_mitmweb(api, options, hidden) as web:
            assert httpx.get(f"{web.proxy.url}/api/products").status_code == 200
            assert Mirror(web.proxy, akto).entry("/api/products")["method"] == "GET"
        assert web.proxy.log[0] == "hidden"


@pytest.mark.e2e
def test_one_process_of_run_mirrors(hidden: dict[str, str], api: str) -> None:
    """`akto-mirror run` mirrors without the spool, and its log appears in a pipe at once by default."""
    with Receiver() as akto:
        options = {"akto_url": akto.url, "akto_linger_ms": "10", "akto_durability": "memory", "confdir": confdir()}
        settings = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
        command = [*map(str, RUN), "--processes=1", "--mode", f"reverse:{api}@127.0.0.1:0", *settings]
        with running(command, ["127.0.0.1"], hidden) as proxy:
            assert httpx.get(f"{proxy.url}/api/products").status_code == 200
            assert Mirror(proxy, akto).entry("/api/products")["method"] == "GET"
        assert proxy.log[0] == "hidden"


def test_a_file_system_without_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses to change modes can still hold the spool."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir(mode=0o755)
    file.touch(mode=0o644)
    monkeypatch.setattr(Path, "chmod", refuse)
    private_files.make_folder(folder)
    private_files.make_file(file)


def test_without_unix_sockets_the_option_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to use instead."""
    monkeypatch.delattr("socket.AF_UNIX")
    with pytest.raises(ValueError, match="this system has no Unix sockets"):
        option_values.socket("/a/b")


@functools.cache
def trees() -> list[tuple[str, ast.Module]]:
    """Return the modules of the package, parsed."""
    files = [(name, ROOT / f"{name.replace('.', os.sep)}.py") for name in MODULES]
    return [(name, ast.parse(file.read_text(encoding="utf-8"))) for name, file in files]


def test_no_module_looks_at_proc() -> None:
    """No module reads /proc, which only Linux has."""
    texts = [(name, node.value) for name, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert [(name, text) for name, text in texts if isinstance(text, str) and "/proc" in text] == []


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_all_that_another_system_lacks_is_hidden(platform: str) -> None:
    """All names that the package uses and another system lacks, by the stubs that mypy includes, are hidden."""
    used = {used for _, tree in trees() for used in standard_names(tree)}
    lacking = {used for used in used if stubs.has(*used, "linux") and not stubs.has(*used, platform)}
    assert ("os", "sched_getaffinity") in lacking
    shown = {name for module, name in lacking if module not in NO_MODULES and name not in NO_NAMES.get(module, ())}
    assert shown <= {*NEEDED}


def standard_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Return the attributes that a module uses from its imports, as pairs of module and name."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {each.asname or each.name: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, each.name) for each in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (module := aliases.get(ast.unparse(node.value))):
            yield module, node.attr
