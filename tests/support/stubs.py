"""The names of the standard library on a platform, from the stubs that mypy includes."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import mypy

STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"


def has(module: str, name: str, platform: str) -> bool:
    """Return whether a standard library module has a name on a platform; False if the module is missing there."""
    return name in _names(module, platform)


@functools.cache
def _names(module: str, platform: str) -> frozenset[str]:
    path = STUBS.joinpath(*module.split("."))
    file = path / "__init__.pyi" if path.is_dir() else path.with_suffix(".pyi")
    return frozenset(_defined(ast.parse(file.read_text()).body, platform)) if file.is_file() else frozenset()


def _defined(body: Sequence[ast.stmt], platform: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _defined(node.body if _holds(node.test, platform) else node.orelse, platform)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (each.asname or each.name for each in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def _holds(test: ast.expr, platform: str) -> bool:
    names = {"sys": SimpleNamespace(platform=platform, version_info=sys.version_info), "TYPE_CHECKING": True}
    return bool(eval(ast.unparse(test), names))
