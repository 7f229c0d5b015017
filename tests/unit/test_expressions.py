"""Regular expressions work on all supported versions of Python."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined] # The parser of re.
from types import ModuleType

import pytest

from tests.support.rooms import MODULES

USERS = ("re", "regex")


def patterns(module: ModuleType, tree: ast.AST) -> Iterator[re.Pattern[str] | re.Pattern[bytes] | str | bytes]:
    """Yield the module's compiled expressions, and the arguments of its calls of `re` and `regex`."""
    yield from filter(lambda value: isinstance(value, re.Pattern), vars(module).values())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).partition(".")[0] in USERS and node.args:
            yield from parts(module, node.args[0])


def parts(module: ModuleType, argument: ast.expr) -> Iterator[str | bytes]:
    """Yield an argument's value, or its constant parts if it has names that are local to a function."""
    try:
        yield eval(ast.unparse(argument), dict(vars(module)))
    except NameError:
        constants = (node.value for node in ast.walk(argument) if isinstance(node, ast.Constant))
        yield from (value for value in constants if isinstance(value, str | bytes))


def is_possessive(expression: object) -> bool:
    """Return whether `re` parses an expression to one with a possessive quantifier."""
    if isinstance(expression, re.Pattern):
        return is_possessive(_parser.parse(expression.pattern, expression.flags))
    if isinstance(expression, str | bytes):
        return is_possessive(_parser.parse(expression))
    if isinstance(expression, tuple | list | _parser.SubPattern):
        return any(map(is_possessive, expression))
    return expression is _constants.POSSESSIVE_REPEAT


def test_no_quantifier_is_possessive() -> None:
    """CPython before 3.11.5 matches possessive quantifiers wrongly: python/cpython#106052, #100061."""
    found = [(name, each) for name in sorted(set(MODULES) - {"__main__"}) for each in of_module(name)]
    assert [(name, each) for name, each in found if is_possessive(each)] == []


def of_module(name: str) -> list[re.Pattern[str] | re.Pattern[bytes] | str | bytes]:
    """Return the expressions of a module of the package."""
    module = importlib.import_module(f"akto_mirror.{name}".rstrip("."))
    return list(patterns(module, ast.parse(MODULES[name].read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("source", "possessive"),
    [
        ("re.compile(r'a*+b')", True),
        ("re.sub(f'(?:x|{SOME})', '', text)", True),
        ("re.compile(rb'(?:a(b++))')", True),
        ("re.split('a{2,3}+' + ESCAPED, text)", True),
        ("re.search('[*+]+' + escaped, text)", False),
        ("re.compile('a*(?>b+)')", False),
    ],
)
def test_they_are_found(source: str, possessive: bool) -> None:
    """The search finds possessive quantifiers, and nothing else."""
    module = ModuleType("sample")
    vars(module).update(SOME="a?+", ESCAPED="x")
    assert any(map(is_possessive, patterns(module, ast.parse(source)))) is possessive
