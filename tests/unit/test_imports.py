"""The parts know of one another in one direction only."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import akto_mirror

PACKAGE = Path(akto_mirror.__file__).parent


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Every module by its name inside the package.
MODULES = {name: path for path in PACKAGE.rglob("*.py") if (name := _module(path))}

# The way down: what stands in a row may know the rows below it, and nothing may know a row above it.
CHAIN = (("addon", "cli"), ("commands",), ("shipper",), ("spool", "sinks", "batch", "retry", "stats"))

# Modules that only compute: they take the clock and randomness as arguments and open nothing.
PURE = ("rules", "routes", "body", "batch", "retry", "text", "entry", "host", "redact", "tee", "ingestion.inventory")

EFFECT = re.compile(
    r"(asyncio|builtins|concurrent|datetime|fcntl|http\.client|httpcore|httpx|io|logging|multiprocessing|os|pathlib|queue"
    r"|random|secrets|select|selectors|shutil|signal|socket|sqlite3|ssl|subprocess|sys|tempfile|threading|time|tornado"
    r"|urllib\.request|mitmproxy\.ctx)(\.|$)"
)


@cache
def imported(module: str) -> tuple[str, ...]:
    """Return everything that a module imports, at its head or inside a function, by full dotted names."""
    return tuple(_imported(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import hides where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(module: str) -> set[str]:
    """Return the modules of this package that a module imports."""
    names = [name.removeprefix("akto_mirror.") for name in imported(module) if name.startswith("akto_mirror.")]
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} - {""}


def reached(module: str) -> set[str]:
    """Return the modules of this package that a module imports, and those that these import, and so on."""
    found: set[str] = set()
    todo = own(module)
    while todo:
        found |= todo
        todo = {further for name in todo for further in own(name)} - found
    return found


def row(module: str) -> int:
    """Return a module's row of the chain, counted from the top; what is not named there stands at the bottom."""
    names = (module, module.partition(".")[0])
    return next((number for number, named in enumerate(CHAIN) if set(names) & set(named)), len(CHAIN))


def test_the_walk_finds_imports() -> None:
    """A walk that found nothing would prove nothing."""
    assert {"options", "entry", "rules", "shipper", "sinks.choose"} <= own("addon")
    assert "text" in reached("addon")
    assert "threading" in imported("shipper")


def test_every_library_is_declared() -> None:
    """What the package imports, it asks for by itself, and not by way of something else that may change its mind."""
    declared = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    asked = {re.split("[<>=]", text)[0] for text in declared["dependencies"]}
    # An extra of one command, what the plugin is loaded by, and what mitmproxy itself reads its config.yaml with.
    asked |= {"shtab", "pytest", "ruamel.yaml"}
    names = {name.partition(".")[0] for module in MODULES for name in imported(module)}
    foreign = names - sys.stdlib_module_names - {"akto_mirror"}
    brought = {name: {each.lower().replace("_", "-") for each in packages_distributions()[name]} for name in foreign}
    assert [name for name in foreign if not asked & brought[name]] == []
    assert "certifi" in foreign


@pytest.mark.parametrize("module", sorted(MODULES))
def test_there_is_no_ring(module: str) -> None:
    """No module is reached from itself."""
    assert module not in reached(module)


@pytest.mark.parametrize("module", [name for name in sorted(MODULES) if row(name) < len(CHAIN)])
def test_imports_go_one_way(module: str) -> None:
    """From the addon and the command line down to commands, the shipper and what it uses; never up or across."""
    upper = {name for name in reached(module) if row(name) < len(CHAIN) - 1}
    assert {name for name in upper if row(name) <= row(module)} == set()


def test_only_the_ends_know_the_addon() -> None:
    """The addon is loaded by mitmproxy, and nothing else depends on it."""
    assert [name for name in sorted(MODULES) if "addon" in own(name)] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_mitmproxys_context_is_used_in_one_place(module: str) -> None:
    """Only addons reach for `mitmproxy.ctx`."""
    reaches = any(name.startswith("mitmproxy.ctx") for name in imported(module))
    assert not reaches or module in ("addon", "commands", "prior_knowledge")


@pytest.mark.parametrize("module", [name for name in PURE if name in MODULES])
def test_pure_modules_open_nothing(module: str) -> None:
    """No clock, no randomness, no thread, no file and no socket, in the module itself or in one that it imports."""
    for name in {module} | reached(module):
        assert list(filter(EFFECT.match, imported(name))) == [], f"{module} reaches {name}"
        calls = {node.func for node in ast.walk(_tree(name)) if isinstance(node, ast.Call)}
        assert {call.id for call in calls if isinstance(call, ast.Name)} & {"open", "print", "input", "exec"} == set()


def _tree(module: str) -> ast.AST:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))
