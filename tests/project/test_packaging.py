"""What is installed, built and locked: users get only what they need, and all developers get the same versions."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.support.constraints import CONSTRAINTS, locked
from tests.support.environment import bare
from tests.support.proxy import DEADLINE, ROOT

# Files that only a clone needs.
OF_GIT = (".gitignore", ".github/")
NOT_SOURCE = ("__pycache__", "node_modules", ".cache")


def configuration() -> dict[str, Any]:
    """Return the contents of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pythons() -> list[str]:
    """Return the supported versions of Python, such as `3.11`."""
    named = configuration()["project"]["classifiers"]
    return [found[1] for name in named if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", name))]


@pytest.mark.parametrize("python", pythons())
def test_the_constraints_follow_the_dependencies(python: str) -> None:
    """Each package in pyproject.toml is locked to a permitted version; `make constraints` writes the locks."""
    given = configuration()
    named = [
        *given["project"]["dependencies"],
        *(each for group in given["dependency-groups"].values() for each in group),
    ]
    found = locked(python)
    wrong = [each for each in map(Requirement, named) if found.get(each.name.lower(), "0") not in each.specifier]
    assert list(map(str, wrong)) == []
    assert len(named) > 20


def test_supported_pythons_are_found() -> None:
    """The search finds versions; otherwise the tests that use it would prove nothing."""
    assert "3.11" in pythons()


def test_the_constraints_name_no_registry() -> None:
    """Packages come from the user's own registry."""
    assert re.findall(r"(?m)^\s*-.*|.*(?:://| @ ).*", CONSTRAINTS.read_text()) == []


def commands(goal: str, folder: Path) -> str:
    """Return the commands of `make` for a goal if nothing is installed yet."""
    make = ["make", "--dry-run", "--no-print-directory", goal, f"VENV={folder}", f"PYTHON={sys.executable}"]
    return subprocess.run(make, cwd=ROOT, env=bare(), capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_demo_installs_what_users_need_and_no_more(tmp_path: Path) -> None:
    """`make demo` installs no test tools, and no dependency of the package is a test tool."""
    asked = commands("demo", tmp_path)
    assert "--editable ." in asked
    assert "--requirement" not in asked
    assert "--requirement" in commands("test", tmp_path)
    given = configuration()
    users = {Requirement(each).name for each in given["project"]["dependencies"]}
    assert users & {"pytest", "hypothesis", "mypy", "ruff", "playwright", "uv"} == set()
    assert given["project"]["optional-dependencies"].keys() == {"kafka"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("goal", ["demo", "test"])
def test_the_first_run_says_what_it_does(goal: str, tmp_path: Path) -> None:
    """The first line comes before the first slow step and says how long it takes; pip shows its progress."""
    first, *others = commands(goal, tmp_path).splitlines()
    assert re.match(r'echo "Installing .*minutes?, once\."', first)
    assert any(" pip install " in line for line in others)
    assert not any("--quiet" in line for line in others)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Build an sdist and a wheel from a copy of this clone; returns their folder and the build's output."""
    copy = tmp_path_factory.mktemp("clone") / "akto-mirror"
    shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv*", "venv", "*.egg-info", "build", *NOT_SOURCE)
    )
    code = "from setuptools import build_meta as m; m.build_sdist('dist'); m.build_wheel('dist')"
    command = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(command, cwd=copy, env=bare(), capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    yield copy / "dist", done.stderr
    shutil.rmtree(copy)


def test_the_sdist_is_complete(built: tuple[Path, str]) -> None:
    """The sdist can be tested and read like a clone: it has every committed file."""
    folder, _ = built
    (file,) = folder.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert [name for name in names if "node_modules" in name or name.endswith(".pyc")] == []
    assert [name for name in committed() if name not in names and not name.startswith(OF_GIT)] == []


def test_the_wheel_is_complete(built: tuple[Path, str]) -> None:
    """The wheel has every file of the package and the script, but neither tests nor benchmarks."""
    folder, _ = built
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == {name for name in committed() if name.startswith(("akto_mirror/", "akto_addon.py"))}


def committed() -> list[str]:
    """Return the files of the repository; an unpacked sdist has none to compare with."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs a clone")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, env=bare(), capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_build_complains_of_nothing(built: tuple[Path, str]) -> None:
    """The build's output has no warning, and the licence is an SPDX expression."""
    folder, complaints = built
    assert re.findall(r"(?im)^.*(?:deprecat|warning: (?!no (?:previously-included|files found))).*", complaints) == []
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        text = wheel.read(metadata).decode()
    assert "\nLicense-Expression: MIT\n" in text
    assert "Classifier: License ::" not in text


def test_no_address_is_invented() -> None:
    """The metadata has no address until there is one; then the README's links lead there, wherever it is shown."""
    relative = re.findall(r"\]\((?!\w+:|#)([^)]+)\)", (ROOT / "README.md").read_text())
    assert not (configuration()["project"].get("urls") and relative)
