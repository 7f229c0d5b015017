"""The layout of the tests: each module has a unit test file, and no test file is imported."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.proxy import ROOT
from tests.support.rooms import MODULES, PACKAGE, reached

TESTS = ROOT / "tests"
IS_TEST = re.compile(r"(^|\.)test_\w+$")


def imports(text: str) -> set[str]:
    """Return the full names that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}"} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_no_test_file_is_imported() -> None:
    """Code that test files share is in `tests/support`, or beside them in a file that is not a test."""
    files = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")}
    modules = {name.removesuffix(".py").replace("/", ".") for name in files}
    assert "tests.unit.test_layout" in modules
    assert [
        f"{name} imports {other}"
        for name, text in files.items()
        for other in imports(text)
        if other in modules and IS_TEST.search(other)
    ] == []


# Modules without a unit test file, below the test file that covers them and the reason. A new module gets its own.
TABLE = """
unit/addon/test_mirror.py: what the parts share; what it does shows when mitmproxy calls them
    addon.session
unit/config/test_options.py: frozen values without a decision
    capture.config config.option
unit/cli/test_program.py: thin edges, arguments only; their commands are tested in e2e/test_doctor.py and test_replay.py
    cli.doctor cli.replay
unit/cli/test_inventory_report.py: the arguments of a command that comes late so that help comes at once
    cli.inventory
unit/delivery/test_shipper.py: parts of the one machine, whose order of steps is what matters
    delivery.policy delivery.waiting
e2e/test_demo.py: thin edges around processes
    cli.demo demo.proxy demo.script
unit/ingestion/test_service.py: handlers of one server, asked over HTTP
    ingestion.handlers ingestion.page_handlers
e2e/test_replay.py: thin edge between files and a server, which are real there
    replay.shipping
"""
TESTED_BY = {file: names.split() for file, names in re.findall(r"^(\S+): .+\n((?: .*\n)+)", TABLE, re.MULTILINE)}


def has_code(module: str) -> bool:
    """Return whether a module defines a function or class."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) for node in tree.body)


def own_file(module: str) -> Path:
    """Return the path of the module's unit test file."""
    path = MODULES[module].relative_to(PACKAGE)
    return TESTS / "unit" / path.with_name(f"test_{path.name}")


def test_every_module_has_its_unit_tests() -> None:
    """The tests are in the file named after the module, or in the one that the table names."""
    modules = {name for name, path in MODULES.items() if path.stem not in ("__init__", "__main__") and has_code(name)}
    listed = [name for names in TESTED_BY.values() for name in names]
    assert len(TESTED_BY) == len(re.findall(r"^\S", TABLE, re.MULTILINE)), "a file without a reason, or without modules"
    assert len(listed) == len(set(listed))
    assert modules - set(listed) == {name for name in modules if own_file(name).exists()}
    assert [file for file in TESTED_BY if not (TESTS / file).exists()] == []
    assert set(listed) <= MODULES.keys()


@pytest.mark.parametrize("file", [file for file in TESTED_BY if file.startswith("unit/")])
def test_the_table_names_files_that_load_the_modules(file: str) -> None:
    """Each file in the table loads its modules: otherwise it could not test them."""
    loaded = with_helpers(TESTS / file)
    used = {name for name in MODULES if f"akto_mirror.{name}" in loaded}
    if "akto_mirror" in loaded or "tests.support.command" in loaded:
        used |= set(MODULES)
    reached_by = used.union(*map(reached, used))
    assert [name for name in TESTED_BY[file] if name not in reached_by] == []


def with_helpers(file: Path) -> set[str]:
    """Return the names that a test file and its helpers import."""
    found, todo = set[str](), imports(file.read_text(encoding="utf-8"))
    while todo:
        found |= todo
        helpers = [path for name in todo if (path := ROOT / f"{name.replace('.', '/')}.py").exists()]
        helpers = [path for path in helpers if path.is_relative_to(TESTS)]
        todo = set().union(*(imports(path.read_text(encoding="utf-8")) for path in helpers)) - found
    return found
