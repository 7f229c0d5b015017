"""Nothing fails for want of what only Unix has: the commands run with those names hidden, as on another system."""

from __future__ import annotations

import ast
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from akto_mirror import private_files
from akto_mirror.ingestion.service import Receiver
from tests.support.environment import bare
from tests.support.mirror import Mirror
from tests.support.mitmweb import running_mitmweb
from tests.support.proxy import DEADLINE, ROOT

FLOWS = ROOT / "tests" / "data" / "flows.mitm"
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.glob("akto_mirror/**/*.py"))

# Runs before anything else in each process. Modes of files are as on a file system without them.
HIDE = """
import os, sys

for kind in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
    kind.clear()

import asyncio, signal, socket

for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "syslog"):
    sys.modules[name] = None
for name in (
    *("geteuid", "getuid", "getegid", "getgid", "getgroups", "fchmod", "chown", "fchown", "lchown", "statvfs"),
    *("fstatvfs", "ST_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "killpg", "getpgid", "setsid"),
    *("sched_getaffinity", "pread", "pwrite", "fdatasync", "mkfifo", "uname", "initgroups", "posix_fallocate"),
):
    if hasattr(os, name):
        delattr(os, name)
pair, unix = socket.socketpair, socket.AF_UNIX
socket.socketpair = lambda *_: pair(unix)  # Elsewhere it does without.
for name in ("AF_UNIX", "SO_REUSEPORT"):
    delattr(socket, name)
for name in ("SIGHUP", "SIGPIPE", "SIGALRM", "pthread_sigmask", "setitimer"):
    delattr(signal, name)

def add_signal_handler(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = add_signal_handler
os.umask(0)
os.chmod = lambda *_, **__: None
make = os.mkdir
os.mkdir = lambda path, mode=0o777, **more: make(path, 0o777, **more)
print("hidden", file=sys.stderr, flush=True)
"""


@pytest.fixture
def hidden(tmp_path: Path) -> dict[str, str]:
    """The environment of a process from which the names are hidden, and what it starts in turn."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDE)
    return bare() | {"PYTHONPATH": str(folder), "XDG_STATE_HOME": str(tmp_path / "state")}


def run(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, which has to be a good one."""
    whole = [sys.executable, *command]
    done = subprocess.run(whole, env=env, capture_output=True, text=True, timeout=2 * DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hidden" in done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_every_module_is_imported(hidden: dict[str, str]) -> None:
    """The whole package, and the script."""
    names = [name for name in MODULES if not name.endswith("__main__")]
    assert len(names) > 50
    run(hidden, "-c", f"import importlib; [importlib.import_module(name) for name in {[*names, 'akto_addon']}]")


@pytest.mark.e2e
def test_the_demo_runs(hidden: dict[str, str]) -> None:
    """Its mitmdump has the names hidden, too."""
    assert "entries arrived" in run(hidden, "-m", "akto_mirror", "demo").stdout


@pytest.mark.e2e
def test_a_replay_runs(hidden: dict[str, str], tmp_path: Path) -> None:
    """To a service and to a file, and again from its checkpoint."""
    out = tmp_path / "out.ndjson"
    with Receiver() as akto:
        for _ in range(2):
            run(hidden, "-m", "akto_mirror", "replay", str(FLOWS), "--to", akto.url, "--resume")
            run(hidden, "-m", "akto_mirror", "replay", str(FLOWS), "--to", out.as_uri())
        assert len(out.read_text().splitlines()) >= len(akto.entries) > 0


@pytest.mark.e2e
def test_the_sink_runs(hidden: dict[str, str], tmp_path: Path) -> None:
    """It takes entries, appends them to a file, and ends with a signal that every system has."""
    out = tmp_path / "out.ndjson"
    command = [sys.executable, "-m", "akto_mirror", "sink", "--port", "0", "--out", str(out)]
    with subprocess.Popen(command, env=hidden, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sink:
        assert sink.stdout
        url = sink.stdout.readline().split(";")[0].removeprefix("listening on ")
        try:
            run(hidden, "-m", "akto_mirror", "replay", str(FLOWS), "--to", url)
            sink.send_signal(signal.SIGINT)
            _, err = sink.communicate(timeout=DEADLINE)
        finally:
            sink.kill()
    assert (sink.returncode, err) == (0, "hidden\n")
    assert all(json.loads(line)["path"] for line in out.read_text().splitlines())
    assert out.stat().st_size > 0


@pytest.mark.e2e
@pytest.mark.parametrize("durability", ["disk", "memory"])
def test_mitmweb_mirrors(hidden: dict[str, str], api: str, durability: str) -> None:
    """With the spool and without."""
    with Receiver() as akto:
        options = {"akto_url": akto.url, "akto_linger_ms": "10", "akto_durability": durability}
        with running_mitmweb(api, options, hidden) as web:
            assert httpx.get(f"{web.proxy.url}/api/products").status_code == 200
            assert Mirror(web.proxy, akto).entry("/api/products")["method"] == "GET"
        assert web.proxy.log[0] == "hidden"


def test_a_file_system_without_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses to change them, and can hold the spool all the same."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir(mode=0o755)
    file.touch(mode=0o644)
    monkeypatch.setattr(Path, "chmod", refuse)
    private_files.make_folder(folder)
    private_files.make_file(file)


def test_without_unix_sockets_the_option_says_so(hidden: dict[str, str]) -> None:
    """One line names the option and what to do instead."""
    module = "akto_mirror.config.option_values"
    code = f"from {module} import socket\ntry: socket('/a/b')\nexcept ValueError as fault: print(fault)"
    assert "this system has no Unix sockets" in run(hidden, "-c", code).stdout


@pytest.mark.parametrize("name", MODULES)
def test_no_module_looks_at_proc(name: str) -> None:
    """Only Linux has it."""
    tree = ast.parse((ROOT / f"{name.replace('.', os.sep)}.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in texts if "/proc" in text] == []
