"""`make fresh` and `.ci/run` start from nothing: what they take from this machine, and what they leave out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fresh import __main__ as fresh
from tests.fresh import debian, installs, registries
from tests.support.proxy import ROOT

PIP = """\
:env:.find-links='/opt/wheels'
global.index-url='https://packages.example.com/simple'
global.extra-index-url='file:///opt/simple https://more.example.com/simple'
global.find-links='/opt/wheels'
global.constraint='/etc/constraints.txt'
install.trusted-host='packages.example.com'
"""


def test_what_reaches_the_registries_is_passed_on() -> None:
    """Variables and pip's configuration are passed on, except for local wheels and indexes."""
    environ = {
        **{
            "PIP_TIMEOUT": "9",
            "UV_INDEX_URL": "https://uv.example.com",
            "npm_config_registry": "https://npm.example.com",
        },
        **{"https_proxy": "http://proxy.example.com:3128", "SSL_CERT_FILE": "/etc/own.pem"},
        **{"PIP_FIND_LINKS": "/opt/wheels", "UV_FIND_LINKS": "/opt", "PIP_CONFIG_FILE": "/opt/pip.conf"},
        **{"PYTHONUNBUFFERED": "1", "AKTO_API_TOKEN": "secret", "PIP_EXTRA_INDEX_URL": "file:///opt/more"},
    }
    assert registries.variables(environ, "") == {
        **{
            "PIP_TIMEOUT": "9",
            "UV_INDEX_URL": "https://uv.example.com",
            "npm_config_registry": "https://npm.example.com",
        },
        **{"https_proxy": "http://proxy.example.com:3128", "SSL_CERT_FILE": "/etc/own.pem", "UV_SYSTEM_CERTS": "true"},
    }
    assert registries.variables({}, PIP) == {
        "PIP_INDEX_URL": "https://packages.example.com/simple",
        "PIP_EXTRA_INDEX_URL": "https://more.example.com/simple",
        "PIP_TRUSTED_HOST": "packages.example.com",
        "UV_SYSTEM_CERTS": "true",
    }


def test_certificates_are_passed_on(tmp_path: Path) -> None:
    """Files that variables name are copied; folders and missing files are not."""
    file = tmp_path / "own.pem"
    file.touch()
    named = {"SSL_CERT_FILE": str(file), "PIP_CERT": str(tmp_path / "none.pem"), "UV_CACHE_DIR": str(tmp_path)}
    assert [path for path in registries.files(named) if path != registries.AUTHORITIES] == [file]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deb http://a.example/debian bookworm main", "http://a.example/debian"),
        (
            "deb [signed-by=/a.gpg arch=amd64] https://b.example/debian bookworm contrib main",
            "https://b.example/debian",
        ),
        ("# deb http://a.example/debian bookworm main", None),
        ("deb http://a.example/debian bookworm-updates main\ndeb-src http://b.example/debian bookworm main", None),
        (
            "Types: deb\n# http://no.example\nURIs: http://c.example\nSuites: bookworm sid\nComponents: main",
            "http://c.example",
        ),
        ("Types: deb\nURIs: http://no.example\nSuites: nodistro\nComponents: main\n\nURIs: file:/x", None),
        ("deb cdrom:[Debian]/ bookworm main", None),
    ],
)
def test_the_mirror_of_apt_is_found(text: str, expected: str | None) -> None:
    """The mirror is found in both formats of apt's sources, and never guessed."""
    assert registries.mirror(["", text], "bookworm") == expected


def test_a_machine_that_cannot_is_skipped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says why, and the exit code means skipped."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["fresh", "demo"])
    assert fresh.main() == fresh.SKIPPED
    assert capsys.readouterr().out.startswith("skipped: it needs root on Linux")


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says how to install it."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(debian.UnavailableError, match=r"debootstrap, .*is not installed .*apt-get install debootstrap"):
        debian.check_machine()


def test_each_way_to_install_is_run() -> None:
    """The README's commands are found, and the guide has the same ones."""
    found = installs.lines((ROOT / "README.md").read_text())
    assert list(found) == ["pip", "uv", "pipx"]
    assert installs.lines((ROOT / "docs" / "guide.md").read_text()) == found


def test_the_commands_of_the_unit_are_run() -> None:
    """All four commands at the unit's head are found."""
    found = installs.commands((ROOT / installs.UNIT).read_text())
    assert [line.split()[0] for line in found] == ["useradd", "python3", "install", "systemctl"]


def test_ci_takes_the_newest_python(tmp_path: Path) -> None:
    """The newest supported Python is found, even if PATH has an older one, or pyenv one that is too new or broken."""
    shown = {"3.12.9": "3.12.9 /old", "3.13.2": "3.13.2 /new", "3.13.10": "", "3.9.1": "3.9.1 /much/older"}
    for version, line in shown.items():
        python = tmp_path / "versions" / version / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\n[ -n '{line}' ] && echo {line}\n")
        python.chmod(0o755)
    env = {"PATH": os.defpath, "PYENV_ROOT": str(tmp_path)}
    found = subprocess.run([ROOT / ".ci" / "newest-python"], env=env, capture_output=True, text=True, check=True)
    assert found.stdout in ("/new\n", f"{shutil.which('python3.14', path=os.defpath)}\n")


def test_ci_runs_with_an_empty_environment(tmp_path: Path) -> None:
    """The first command sees only variables for locations and for access to the registries."""
    make = tmp_path / "make"
    make.write_text(f"#!/bin/sh\nenv -0 > {tmp_path}/seen\nexit 1\n")
    make.chmod(0o755)
    kept = {"HOME": "/tmp", "LANG": "C.UTF-8", "CI": "true", "PIP_TIMEOUT": "9 \n9", "https_proxy": "http://p.example"}
    lost = {"PIP_FIND_LINKS": "/opt/wheels", "PYTHONUNBUFFERED": "1", "AKTO_API_TOKEN": "x", "PYTHONPATH": "/x"}
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"} | kept
    done = subprocess.run(["bash", ROOT / ".ci" / "run"], env=env | lost, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    seen = dict(word.split("=", 1) for word in (tmp_path / "seen").read_text().split("\0") if word)
    assert {name for name in seen if name not in ("PWD", "OLDPWD", "SHLVL", "_")} == env.keys()
    assert seen.items() >= env.items()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux")
def test_a_command_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its child processes end too, although it runs as another user; this system stands in for the Debian."""
    if missing := [name for name in ("unshare", "chroot", "mount") if shutil.which(name) is None]:
        pytest.skip(f"needs {missing}")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("needs namespaces of its own")
    monkeypatch.setattr(debian, "HOME", "/srv")
    for name in ("home/akto-mirror", "tmp"):
        (tmp_path / name).mkdir(parents=True)
    tmp_path.chmod(0o755)
    here = debian.Debian(Path("/"), tmp_path, {})
    assert here.execute("id -un; exit 7", 30, user="daemon").output == "daemon\n"
    done = here.execute("sleep 60 & sleep 60; true", 1, user="daemon")
    assert done.code == -1
    assert done.seconds < 30


def test_a_warning_in_the_first_output_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning in the output of the demo, or of any way to install, is a failure."""
    done = debian.Done(0, "Collecting httpx\n  DEPRECATION: Legacy editable install\n", 1.0)
    monkeypatch.setattr(debian.Debian, "execute", lambda *_, **__: done)
    here = debian.Debian(Path("/"), Path("/"), {})
    assert fresh.step(here, "pip install .", 1) == done
    with pytest.raises(fresh.FailedError, match=r"pip install \. complains: .*DEPRECATION"):
        fresh.step(here, "pip install .", 1, quiet=True)
