"""The structure of the package, read from its source: modules, their rooms, and imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import akto_mirror

PACKAGE = Path(akto_mirror.__file__).parent


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Every module, by its name inside the package.
MODULES = {name: path for path in PACKAGE.rglob("*.py") if (name := _module(path))}


# Modules outside any folder, except the ends with these names, form one room on which all others stand.
GROUND = "ground"
ENDS = ("__main__", "pytest_plugin", "sample_api")


def room(module: str) -> str:
    """Return a module's room: its folder, `GROUND`, or itself if it is an end."""
    path = MODULES[module]
    if path.parent == PACKAGE:
        return module if module in ENDS else GROUND
    return module if path.stem == "__init__" else module.rpartition(".")[0]


@cache
def imported(module: str) -> tuple[str, ...]:
    """Return the full dotted names of all imports of a module, at its head or inside functions."""
    return tuple(_imported(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import hides where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def own(module: str) -> frozenset[str]:
    """Return the modules of this package that a module imports."""
    names = (name.removeprefix("akto_mirror.") for name in imported(module) if name.startswith("akto_mirror."))
    return frozenset(found for name in names if (found := _known(name)))


def _known(name: str) -> str:
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def reached(module: str) -> set[str]:
    """Return the modules of this package that a module imports, directly or indirectly."""
    found: set[str] = set()
    todo = set(own(module))
    while todo:
        found |= todo
        todo = {further for name in todo for further in own(name)} - found
    return found


@cache
def arrows() -> set[tuple[str, str]]:
    """Return the imports between rooms."""
    pairs = ((room(module), room(other)) for module in MODULES for other in own(module))
    return {(start, end) for start, end in pairs if start != end}


def summary(module: str) -> str:
    """Return the first sentence of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).removesuffix(".")
