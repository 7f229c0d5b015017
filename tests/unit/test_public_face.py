"""The public interface of the package, as other projects use it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

import akto_mirror
from tests.support.data import DATA
from tests.support.environment import bare
from tests.support.proxy import ROOT

pytest_plugins = ["pytester"]

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", akto_mirror.__all__)
def test_every_public_name_can_be_used_and_is_documented(name: str) -> None:
    """Each public name is in the page's table and in `dir`."""
    assert getattr(akto_mirror, name)
    assert name in dir(akto_mirror)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{name}\b", page, re.MULTILINE)


def test_an_unknown_name_is_an_error() -> None:
    """An unknown name raises AttributeError, as in any other module."""
    with pytest.raises(AttributeError, match="module 'akto_mirror' has no attribute 'entry'"):
        _ = akto_mirror.entry


def test_the_version_is_in_one_place() -> None:
    """The version is written in pyproject.toml only; the changelog and the Kubernetes example name the same one."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert akto_mirror.__version__ == version
    assert f"\n## [{version}] - 20" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"/akto-mirror:{version}\n" in (ROOT / "examples" / "kubernetes.yaml").read_text(encoding="utf-8")
    written = [path for path in (ROOT / "akto_mirror").rglob("*.py") if f'"{version}"' in path.read_text()]
    assert written == []


def test_the_import_is_cheap() -> None:
    """Importing the package loads none of its dependencies: pytest imports it in every project of an environment."""
    code = "import akto_mirror, sys; print(*{'mitmproxy', 'httpx', 'tornado', 'msgspec', 'asyncio'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=bare(), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: re.findall(r"def (test_\w+)", text)[0])
def test_the_examples_of_the_docs_pass(example: str, pytester: pytest.Pytester) -> None:
    """Each example passes as a test file with a recording beside it."""
    (pytester.path / "flows.mitm").write_bytes((DATA / "flows.mitm").read_bytes())
    pytester.makepyfile(example)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == 0
    result.assert_outcomes(passed=example.count("def test_"))


def test_there_are_examples() -> None:
    """The page has as many examples as expected: the tests above would pass without any."""
    assert len(EXAMPLES) == 3
