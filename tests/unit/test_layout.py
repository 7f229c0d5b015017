"""The layout of the tests: a unit file for each module, and no test file that another one imports."""

from __future__ import annotations

import ast
import re

from tests.support.proxy import ROOT

TESTS = ROOT / "tests"
IS_TEST = re.compile(r"(^|\.)test_\w+$")


def imports(text: str) -> set[str]:
    """Return the full names that a module imports from."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}"} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_no_test_file_is_imported() -> None:
    """What two test files share is in `tests/support`, or beside them in a file that is not a test."""
    files = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")}
    modules = {name.removesuffix(".py").replace("/", ".") for name in files}
    assert "tests.unit.test_layout" in modules
    assert [
        f"{name} imports {other}"
        for name, text in files.items()
        for other in imports(text)
        if other in modules and IS_TEST.search(other)
    ] == []
