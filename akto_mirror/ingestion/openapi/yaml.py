"""Writes JSON values as YAML: block style, with JSON's quotes around ambiguous strings (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# Plain scalars that every parser of YAML 1.1 or 1.2 reads as strings.
PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_/.-]*(?:[ ][A-Za-z0-9_/.-]+)*")
NOT_A_TEXT = frozenset("y n yes no on off true false null nan inf .nan .inf".split())  # noqa: SIM905 - a line a name
# Characters that YAML 1.2, 5.1, does not allow, or that change the text direction: escaped as in JSON.
ESCAPED = re.compile("[\x7f-\xa0\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff0-\uffff]")


def dump(value: Any) -> str:
    """Return a value as a YAML document that parsers of YAML 1.1 and 1.2 read alike."""
    return "".join(f"{line}\n" for line in _lines(value, ""))


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{indent}{_scalar(str(key))}:", item, f"{indent}  ")
    elif isinstance(value, list) and value:
        for item in value:
            if isinstance(item, dict) and item:
                first, *rest = _lines(item, f"{indent}  ")
                yield f"{indent}- {first.lstrip(' ')}"
                yield from rest
            else:
                yield from _entry(f"{indent}-", item, f"{indent}  ")
    else:
        yield indent + _scalar(value)


def _entry(head: str, item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        yield head
        yield from _lines(item, indent)
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if PLAIN.fullmatch(value) and value.lower() not in NOT_A_TEXT:
            return value
        return ESCAPED.sub(lambda hit: f"\\u{ord(hit[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value)


def _number(value: float) -> str:
    """Return a number with a decimal point, without which YAML 1.1 reads an exponent as a string."""
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"
